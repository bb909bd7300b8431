"""Cases: a context, and questions with their answers.  Training packs them; evaluation asks them one by one."""
from dataclasses import dataclass, field

import facts
import functions
import lookups
from prompts import REPEAT_LEAD, VOCABULARY
from scrambling import scramble
from weaving import weave

WEIGHTS = {"copy": 11, "part": 14, "lookup": 16, "needle": 13, "profile": 16, "function": 18, "mixed": 12}
TEXTS = ("kjv", "docs", "code")
CHARS_PER_TOKEN = {"kjv": 4.6, "docs": 4.0, "code": 3.8}       # on the generous side; contexts are cut to fit
COPY_WEIGHT, SHORT_WEIGHT, TEXT_WEIGHT = 0.5, 3.0, 0.15        # of an answer token, and of a context token
SCRAMBLED = {"copy": 0.15, "function": 0.3}                     # share of such texts whose words change places


@dataclass
class Turn:
    query: list                 # ids, postfix included
    answer: list                # ids, <|im_end|> not included
    weight: float = 1.0
    ends: bool = True           # False: the answer is a part that might go on
    hard: tuple = ()            # the tokens that count most: the first one behind a code fence, and the closing one


@dataclass
class Case:
    context: list
    turns: list
    text_weight: float = 0.0
    question: str = ""
    system: list = field(default_factory=list)


class Maker:
    """Makes cases from one side of the split (corpus, names, cities)."""

    def __init__(self, prompts, corpus, held_out):
        self.prompts, self.corpus, self.held_out = prompts, corpus, held_out
        self.fence, self.closing = prompts.encode("```python\n"), len(prompts.encode("```"))
        self.functions = functions.Functions(corpus)

    def case(self, rng, length, task=None, source=None):
        """A case of at most about `length` tokens, frame and answers included."""
        while True:
            chosen = task or rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
            case = getattr(self, chosen)(rng, length - len(self.prompts.system) - 60, source)
            if case.turns:
                bare = not self.held_out and rng.random() < 0.08
                case.system = self.prompts.bare_system if bare else self.prompts.system
                return case

    # ---- repeating the context ------------------------------------------------------------------------------

    def anything(self, rng, limit, source):
        """Ids of a context for repeating, and its weight as text."""
        pick = 0.0 if source else rng.random()
        if pick < 0.62:
            kind = source or rng.choice(TEXTS)
            text = self.corpus.slice(rng, kind, int(limit * CHARS_PER_TOKEN[kind]) + 40)
            if not source and rng.random() < SCRAMBLED["copy"]:
                return self.prompts.cut(scramble(rng, text), limit)[0], 0.0
            return self.prompts.cut(text, limit)[0], TEXT_WEIGHT
        if pick < 0.78:
            maker = rng.choice([self.lookup, self.profile, self.mixed])
            context = maker(rng, max(limit + 160, int(limit * 1.3)), None).context[:limit]
            return (context, 0.0) if len(context) >= 60 else self.anything(rng, limit, "docs")
        if pick < 0.93:
            return self.repetitive(rng, limit), 0.0
        return [rng.randrange(3, VOCABULARY) for _ in range(limit)], 0.0

    def repetitive(self, rng, limit):
        """Few different tokens, or lines that come back a little changed: only a long match says where one is."""
        if rng.random() < 0.5:
            few = [rng.randrange(3, VOCABULARY) for _ in range(int(2 ** rng.uniform(3, 8)))]
            return rng.choices(few, k=limit)
        lines, text = self.corpus.slice(rng, rng.choice(TEXTS), limit * 2).split("\n"), ""
        while len(text) < limit * 5:
            start = rng.randrange(len(lines))
            for line in lines[start:start + rng.randint(1, 6)]:
                words = line.split(" ")
                if rng.random() < 0.4:
                    words[rng.randrange(len(words))] = rng.choice(rng.choice(lines).split(" "))
                text += " ".join(words) + "\n"
        return self.prompts.cut(text, limit)[0]

    def copy(self, rng, room, source):
        most = int(room * 0.46)
        context, weight = self.anything(rng, rng.randint(most if self.held_out else max(20, most // 4), most), source)
        query = self.prompts.repeat(context, 0)
        return Case(context, [Turn(query, context, COPY_WEIGHT)], weight)

    def part(self, rng, room, source):
        most = int(room * 0.72)
        context, weight = self.anything(rng, rng.randint(most if self.held_out else max(60, most // 3), most), source)
        size = min(len(context) - 20, int(room * 0.26))
        start = rng.randrange(REPEAT_LEAD, len(context) - size + 1)
        if rng.random() < 0.3:
            start = len(context) - size
        answer = context[start:start + size]
        turn = Turn(self.prompts.repeat(context, start), answer, COPY_WEIGHT, start + size == len(context))
        return Case(context, [turn], weight)

    # ---- questions ------------------------------------------------------------------------------------------

    def ask(self, rng, text, limit, asked, room, weight, most=24):
        """Cut the text to `limit` tokens, keep the questions whose statements survived, as many as fit."""
        context, covered = self.prompts.cut(text, limit)
        alive = [(q, a) for end, q, a in asked if end <= covered]
        rng.shuffle(alive)
        turns, left = [], room - len(context)
        for question, answer in alive[:most]:
            turn = Turn(self.prompts.query(question), self.prompts.encode(answer))
            turn.weight = SHORT_WEIGHT if len(turn.answer) < 40 else 1.0
            if turn.answer[:len(self.fence)] == self.fence:
                turn.weight, turn.hard = 1.0, (len(self.fence), len(turn.answer) - self.closing)
            left -= len(turn.query) + len(turn.answer) + 8
            if left < 0:
                break
            turns.append(turn)
        return Case(context, turns, weight)

    def limits(self, rng, room):
        """(tokens for the context, the rest is for questions)"""
        most = room - min(900, max(120, room // 4))
        return most if self.held_out or rng.random() < 0.2 else rng.randint(min(most, max(60, most // 6)), most)

    def lookup(self, rng, room, source):
        limit = self.limits(rng, room)
        if not source and rng.random() < 0.25:
            return self.interleaved(rng, room, limit, [lookups.table(rng, rng.randint(2, 12))], rng.choice(TEXTS))
        lines = lookups.table(rng, limit // 7)
        head, tail = ("{\n", "}\n") if lines[0][0].lstrip().startswith('"') and rng.random() < 0.5 else ("", "")
        text, asked = head, []
        for line, questions in lines:
            text += line + "\n"
            asked += [(len(text), q, a) for q, a in questions]
            if len(text) > limit * 3.2:
                break
        return self.ask(rng, text + tail, limit, asked, room, 0.0)

    def needle(self, rng, room, source):
        limit = self.limits(rng, room)
        found = lookups.needles(rng, rng.randint(1, 12), self.held_out)
        return self.interleaved(rng, room, limit, [[n] for n in found], source or rng.choice(TEXTS))

    def profile(self, rng, room, source):
        limit = self.limits(rng, room)
        shape = rng.random()
        count = 1 if shape < 0.3 else rng.randint(2, max(3, limit // 60))
        groups = facts.people(rng, count, self.held_out, rng.random() < 0.6)
        if shape >= 0.3 and (limit > 1500 or rng.random() < 0.5) or (self.held_out and count * 60 < limit // 2):
            return self.interleaved(rng, room, limit, groups, rng.choice(TEXTS))
        if rng.random() < 0.2:                              # nothing says that facts on one person stay together
            groups = [[statement] for group in groups for statement in group]
            rng.shuffle(groups)
        text, asked, gap = "", [], rng.choice([" ", " ", "\n", "\n\n"])
        for group in groups:
            for statement, questions in group:
                text += (" " if text and not text.endswith("\n") else "") + statement
                asked += [(len(text), q, a) for q, a in questions]
            text += gap if gap != " " else ""
        return self.ask(rng, text.strip(), limit, asked, room, 0.0)

    def mixed(self, rng, room, source):
        limit = self.limits(rng, room)
        size = max(1, limit // 600)
        inserts = [[n] for n in lookups.needles(rng, rng.randint(1, 3 + size), self.held_out)]
        inserts += facts.people(rng, rng.randint(1, 1 + size), self.held_out, rng.random() < 0.7)
        notation = rng.choice(lookups.NOTATIONS)
        inserts += [lookups.table(rng, rng.randint(1, 6), notation) for _ in range(rng.randint(1, 1 + size))]
        rng.shuffle(inserts)
        return self.interleaved(rng, room, limit, inserts, source or rng.choice(TEXTS))

    def interleaved(self, rng, room, limit, inserts, kind):
        """Spread groups of statements over running text; each group stays together."""
        spent = sum(len(s) for group in inserts for s, _ in group) / 2.8
        chars = int(max(20, limit - spent) * CHARS_PER_TOKEN[kind] * 0.9)
        text, asked = weave(rng, self.corpus.slice(rng, kind, chars), inserts, own_lines=kind == "code")
        return self.ask(rng, text, limit, asked, room, TEXT_WEIGHT)

    def function(self, rng, room, source):
        limit, most = self.limits(rng, room - min(260, room // 4)), 6
        if self.held_out or rng.random() < 0.5:
            text = self.corpus.slice(rng, "code", int(limit * CHARS_PER_TOKEN["code"]))
        else:
            limit, most = min(limit, int(room * 0.6)), 40
            text = self.functions.assemble(rng, int(limit * 3.4))
        scrambled = not self.held_out and rng.random() < SCRAMBLED["function"]
        text = scramble(rng, text) if scrambled else text
        text = text[:self.prompts.cut(text, limit)[1]]
        found = functions.extract(text)
        asked = [(end, rng.choice(functions.QUESTIONS).format(f=name), functions.answer(body))
                 for name, body, _, end in found]
        return self.ask(rng, text, limit, asked, room, 0.0 if scrambled else TEXT_WEIGHT, most)
