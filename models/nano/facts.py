"""Profiles: statements about people, and the questions they answer."""
import words
from words import made_up, side

# per attribute: values; said of oneself; said of {n}; asked of oneself; asked about {n}; yes/no of oneself; about {n}
ATTRIBUTES = {
    "city": (words.CITIES,
             ["I live in {v}.", "I moved to {v} and live there.", "My home is in {v}.", "I am living in {v}."],
             ["{n} lives in {v}.", "{n} moved to {v} and lives there.", "The home of {n} is in {v}."],
             ["Where do I live?", "In which city do I live?", "Which city do I live in?", "What city is my home in?"],
             ["Where does {n} live?", "In which city does {n} live?", "What city does {n} live in?"],
             ["Do I live in {v}?", "Is my home in {v}?"], ["Does {n} live in {v}?", "Is the home of {n} in {v}?"]),
    "job": (words.JOBS,
            ["I work as a {v}.", "My job is {v}.", "I am a {v}."],
            ["{n} works as a {v}.", "The job of {n} is {v}.", "{n} is a {v}."],
            ["What is my job?", "What do I work as?", "What do I do for a living?"],
            ["What is the job of {n}?", "What does {n} work as?", "What is {n}'s job?"],
            ["Do I work as a {v}?", "Am I a {v}?"], ["Does {n} work as a {v}?", "Is {n} a {v}?"]),
    "major": (words.MAJORS,
              ["My major is {v}.", "I study {v}.", "I am majoring in {v}."],
              ["The major of {n} is {v}.", "{n} studies {v}.", "{n} is majoring in {v}."],
              ["What is my major?", "What do I study?", "Which subject do I study?"],
              ["What is the major of {n}?", "What does {n} study?", "What is {n}'s major?"],
              ["Is my major {v}?", "Do I study {v}?"], ["Is the major of {n} {v}?", "Does {n} study {v}?"]),
    "color": (words.COLORS,
              ["My favorite color is {v}."], ["The favorite color of {n} is {v}.", "{n}'s favorite color is {v}."],
              ["What is my favorite color?", "Which color do I like best?"],
              ["What is the favorite color of {n}?", "What is {n}'s favorite color?"],
              ["Is my favorite color {v}?"], ["Is the favorite color of {n} {v}?", "Is {n}'s favorite color {v}?"]),
    "pet": (words.PETS,
            ["I have a {v}.", "My pet is a {v}."], ["{n} has a {v}.", "The pet of {n} is a {v}."],
            ["What pet do I have?", "What is my pet?"], ["What pet does {n} have?", "What is the pet of {n}?"],
            ["Do I have a {v}?"], ["Does {n} have a {v}?"]),
    "food": (words.FOODS,
             ["My favorite food is {v}.", "I like to eat {v}."],
             ["The favorite food of {n} is {v}.", "{n} likes to eat {v}."],
             ["What is my favorite food?", "What do I like to eat?"],
             ["What is the favorite food of {n}?", "What does {n} like to eat?", "What is {n}'s favorite food?"],
             ["Is my favorite food {v}?", "Do I like to eat {v}?"], ["Is the favorite food of {n} {v}?"]),
    "sport": (words.SPORTS,
              ["My favorite sport is {v}.", "The sport I like is {v}."], ["The favorite sport of {n} is {v}."],
              ["What is my favorite sport?", "Which sport do I like?"],
              ["What is the favorite sport of {n}?", "What is {n}'s favorite sport?"],
              ["Is my favorite sport {v}?"], ["Is the favorite sport of {n} {v}?"]),
    "language": (words.LANGUAGES,
                 ["I speak {v}.", "My language is {v}."], ["{n} speaks {v}.", "The language of {n} is {v}."],
                 ["What language do I speak?", "Which language do I speak?"],
                 ["What language does {n} speak?", "What is the language of {n}?"],
                 ["Do I speak {v}?"], ["Does {n} speak {v}?"]),
    "instrument": (words.INSTRUMENTS,
                   ["I play the {v}."], ["{n} plays the {v}."],
                   ["What instrument do I play?", "Which instrument do I play?"], ["What instrument does {n} play?"],
                   ["Do I play the {v}?"], ["Does {n} play the {v}?"]),
    "age": ([str(i) for i in range(10, 95)],
            ["I am {v} years old.", "My age is {v}."], ["{n} is {v} years old.", "The age of {n} is {v}."],
            ["How old am I?", "What is my age?"], ["How old is {n}?", "What is the age of {n}?", "What is {n}'s age?"],
            ["Am I {v} years old?"], ["Is {n} {v} years old?"]),
    "birthday": ([f"{month} {day}" for month in words.MONTHS for day in range(1, 29)],
                 ["My birthday is {v}.", "I was born on {v}."],
                 ["The birthday of {n} is {v}.", "{n} was born on {v}."],
                 ["When is my birthday?", "When was I born?"], ["When is the birthday of {n}?", "When was {n} born?"],
                 ["Is my birthday {v}?", "Was I born on {v}?"], ["Is the birthday of {n} {v}?"]),
}
OPENINGS = ["This is my basic profile.", "Here is my profile.", "Let me introduce myself.", "About me.", "Hello!"]
MY_NAME = ["My name is {n}.", "I am {n}.", "I am called {n}."]
NAME_QUESTIONS = ["What is my name?", "What am I called?", "Who am I?", "Tell me my name."]


def new_name(rng, held_out):
    kind = rng.random()
    if kind < 0.65:
        return rng.choice(side(words.NAMES, held_out))
    if kind < 0.85:
        return made_up(rng).capitalize()
    return rng.choice(side(words.NAMES, held_out)) + " " + made_up(rng, 2, 3).capitalize()


def new_value(rng, attribute, held_out):
    pool = ATTRIBUTES[attribute][0]
    if attribute == "city":
        pool = side(pool, held_out)
        if rng.random() < 0.15:
            return made_up(rng).capitalize()
    return rng.choice(pool)


def profile(rng, name, about_me, held_out):
    """[(statement, [(question, answer), ...]), ...] about one person; the person's own name comes first."""
    chosen = rng.sample(list(ATTRIBUTES), rng.randint(1, 5))
    statements = []
    if about_me:
        lead, questions = rng.choice(MY_NAME).format(n=name), [(rng.choice(NAME_QUESTIONS), name)]
        if rng.random() < 0.5:
            x = name if rng.random() < 0.5 else new_name(rng, held_out)
            questions.append((f"Is my name {x}?", "Yes" if x == name else "No"))
        if rng.random() < 0.4:                              # "My name is Kim living in Seoul."
            chosen = [a for a in chosen if a != "city"]
            city = new_value(rng, "city", held_out)
            lead = rng.choice(["My name is {n} living in {v}.", "My name is {n} and I live in {v}.",
                               "I am {n} from {v}, where I live."]).format(n=name, v=city)
            questions += ask(rng, "city", name, True, city, held_out)
        statements.append((lead, questions))
    for attribute in chosen:
        value = new_value(rng, attribute, held_out)
        forms = ATTRIBUTES[attribute][1 if about_me else 2]
        said = rng.choice(forms).format(n=name, v=value)
        if value[0] in "aeiou":
            said = said.replace(f" a {value}", f" an {value}")
        statements.append((said, ask(rng, attribute, name, about_me, value, held_out)))
    return statements


def ask(rng, attribute, name, about_me, value, held_out):
    """An open question, a question answered Yes and one answered No."""
    _, _, _, mine, theirs, yes_mine, yes_theirs = ATTRIBUTES[attribute]
    other = value
    while other == value:
        other = new_value(rng, attribute, held_out)
    closed = yes_mine if about_me else yes_theirs
    asked = [(rng.choice(mine if about_me else theirs).format(n=name), value),
             (rng.choice(closed).format(n=name, v=value), "Yes"), (rng.choice(closed).format(n=name, v=other), "No")]
    rng.shuffle(asked)
    return asked


def people(rng, count, held_out, with_me):
    """Statements about `count` people with different names, grouped by person."""
    names, groups = set(), []
    while len(groups) < count:
        name = new_name(rng, held_out)
        if name.split()[0] in names:
            continue
        names.add(name.split()[0])
        me = with_me and not groups
        group = profile(rng, name, me, held_out)
        if me and rng.random() < 0.6:
            group.insert(0, (rng.choice(OPENINGS), []))
        groups.append(group)
    rng.shuffle(groups)
    return groups
