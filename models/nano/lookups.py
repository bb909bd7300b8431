"""Keys with values in many notations, and needles: single statements hidden in running text."""
import words
from words import made_up, side

NOTATIONS = ["{k}: {v}", "{k} = {v}", "{k} -> {v}", "{k}={v}", "- {k}: {v}", "| {k} | {v} |", '"{k}": "{v}",',
             '    "{k}": "{v}",', '{{"key": "{k}", "value": "{v}"}}', '{k}: "{v}"', "{k} = '{v}'", "{k}\t{v}",
             "The value of {k} is {v}."]
KEY_QUESTIONS = ["What is the value of {k}?"] * 4 + [
    "What is the value for {k}?", 'What is the value of "{k}"?', 'What is the value of the key "{k}"?',
    "What value does {k} have?", "Tell me the value of {k}.", "Look up {k}.", "Give the value of {k}.",
    'Extract the value corresponding to the specified key.\nKey: "{k}"',
    'Key: "{k}"\nThe value associated with the specified key is: ', "Which value is given for {k}?"]

# statements, questions, what {x} names, what {v} is
NEEDLES = [
    (["One of the special magic numbers for {x} is: {v}.", "The special magic number for {x} is: {v}.",
      "The magic number of {x} is {v}."],
     ["What is the special magic number for {x} mentioned in the provided text?",
      "What is the special magic number for {x}?", "What is the magic number of {x}?",
      "Which magic number belongs to {x}?"], "any", "number"),
    (["One of the special magic words for {x} is: {v}.", "The special magic word for {x} is: {v}."],
     ["What is the special magic word for {x} mentioned in the provided text?",
      "What is the special magic word for {x}?", "What is the magic word for {x}?"], "any", "word"),
    (["The secret code of {x} is {v}.", "The secret code for {x} is {v}."],
     ["What is the secret code of {x}?", "What is the secret code for {x}?", "Tell me the secret code of {x}."],
     "any", "number"),
    (["The password for {x} is {v}.", "{x} has the password {v}."],
     ["What is the password for {x}?", "What password does {x} have?"], "any", "word"),
    (["The best thing to do in {x} is {v}."],
     ["What is the best thing to do in {x}?", "What is the best thing to do in {x}, according to the text?",
      "What should one do in {x}?"], "city", "activity"),
    (["{x} keeps the key in the {v}.", "{x} hid the key in the {v}."],
     ["Where does {x} keep the key?", "Where did {x} hide the key?", "Where is the key of {x}?"], "name", "place"),
    (["The {t} of {x} is {v}.", "The {t} of {x} is called {v}."],
     ["What is the {t} of {x}?", "Tell me the {t} of {x}.", "Which is the {t} of {x}?"], "any", "any"),
    (["The meeting with {x} is on {v}.", "{x} will arrive on {v}."],
     ["When is the meeting with {x}?", "When will {x} arrive?"], "name", "date"),
]
PASS_KEY = (["The pass key is {v}. Remember it. {v} is the pass key.", "The pass key is {v}."],
            ["What is the pass key?", "What is the pass key? Tell me the number."])


def number(rng, low=2, high=7):
    return str(rng.randrange(10 ** rng.randint(low, high)))


def hexadecimal(rng, digits):
    return "".join(rng.choice("0123456789abcdef") for _ in range(digits))


def uuid(rng):
    return "-".join(hexadecimal(rng, n) for n in (8, 4, 4, 4, 12))


def activity(rng):
    adjective = rng.choice(words.ADJECTIVES)
    article = rng.choice(["the", "an" if adjective[0] in "aeiou" else "a"])
    text = f"{rng.choice(words.VERBS)} {article} {adjective} {rng.choice(words.NOUNS)}"
    if rng.random() < 0.6:
        text += f" and {rng.choice(['sit in', 'walk to', 'go to', 'rest at'])} the {rng.choice(words.NOUNS)}"
    if rng.random() < 0.6:
        text += " " + rng.choice(words.TIMES)
    return text


def some_value(rng, kind):
    if kind == "number":
        return number(rng, 3, 7)
    if kind == "word":
        return made_up(rng) if rng.random() < 0.5 else rng.choice(words.ADJECTIVES) + "-" + rng.choice(words.NOUNS)
    if kind == "activity":
        return activity(rng)
    if kind == "place":
        return f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.NOUNS)}"
    if kind == "date":
        return f"{rng.choice(words.MONTHS)} {rng.randint(1, 28)}"
    return some_value(rng, rng.choice(["number", "word", "place", "date"]))


def some_subject(rng, kind, held_out):
    if kind == "any":
        kind = rng.choice(["city", "name", "word", "pair", "title"])
    if kind == "city":
        return rng.choice(side(words.CITIES, held_out))
    if kind == "name":
        return rng.choice(side(words.NAMES, held_out))
    if kind == "pair":
        return rng.choice(words.ADJECTIVES) + "-" + rng.choice(words.NOUNS)
    return made_up(rng).capitalize() if kind == "title" else made_up(rng)


def needles(rng, count, held_out):
    """[(statement, [(question, answer)]), ...] whose subjects all differ."""
    found, seen = [], set()
    if rng.random() < 0.1:
        value = number(rng, 4, 7)
        found.append((rng.choice(PASS_KEY[0]).format(v=value), [(rng.choice(PASS_KEY[1]), value)]))
    while len(found) < count:
        statements, questions, subject, value = rng.choice(NEEDLES)
        x = some_subject(rng, subject, held_out)
        if x in seen:
            continue
        seen.add(x)
        v, t = some_value(rng, value), rng.choice(words.THINGS)
        i = rng.randrange(len(statements))
        j = rng.randrange(len(questions))
        if subject == "name":                               # these questions repeat the statement's verb
            j = i if rng.random() < 0.8 else len(questions) - 1 if value == "place" else i
        found.append((statements[i].format(x=x, v=v, t=t), [(questions[j].format(x=x, t=t), v)]))
    return found


def key(rng, style):
    if style == "uuid":
        return uuid(rng)
    if style == "hex":
        return hexadecimal(rng, 8)
    if style == "camel":
        return made_up(rng) + made_up(rng).capitalize()
    if style == "item":
        return f"item {rng.randrange(100000)}"
    word = made_up(rng)
    return word + rng.choice("_-. ") + made_up(rng, 1, 3) if style == "pair" else word


def value(rng, style):
    if style in ("number", "word", "date", "place"):
        return some_value(rng, style)
    if style == "uuid":
        return uuid(rng)
    if style == "hex":
        return hexadecimal(rng, 8)
    if style == "city":
        return rng.choice(words.CITIES)
    return f"{rng.random() * 10 ** rng.randint(0, 3):.2f}"


def table(rng, count, notation=None):
    """[(line, [(question, answer)]), ...]: `count` lines of one notation with different keys."""
    notation = notation or rng.choice(NOTATIONS)
    keys = rng.choices(["word", "pair", "camel", "hex", "item", "uuid"], [35, 35, 10, 8, 7, 5])[0]
    styles = ["number", "word", "city", "hex", "float", "date", "place"]
    if rng.random() < 0.3:
        styles = [rng.choice(["number", "word", "hex", "city"])]
    if keys == "uuid":
        styles = ["uuid"]
    lines, seen = [], set()
    for _ in range(count * 2):
        k = key(rng, keys)
        if k not in seen and len(lines) < count:
            seen.add(k)
            v = value(rng, rng.choice(styles))
            lines.append((notation.format(k=k, v=v), [(rng.choice(KEY_QUESTIONS).format(k=k), v)]))
    return lines
