"""Retrieving functions by name.

A function qualifies when it is short, its name occurs once, it has no blank line inside and a blank line follows
it; so its end can be seen in the context.  The answer repeats its lines from `def` to the last one, with
the indentation they have in the context, inside a fenced block:

    ```python
        def name(self):
            return self._name
    ```
"""
import re

from words import made_up

QUESTIONS = ["Write the function {f} exactly as in the context."] * 6 + [
    "Write the function {f}.", "Repeat the function {f} exactly.", "Show the function {f} from the context.",
    "Give the exact code of the function {f}.", "Write the function `{f}` exactly as in the context.",
    "What is the code of the function {f}?"]
MAX_CHARS = 480
HEADER = re.compile(r"^([ \t]*)(?:async )?def (\w+)\(", re.M)


def answer(body):
    return f"```python\n{body}\n```"


def extract(text):
    """[(name, body, start, end), ...] of the qualifying functions in a text."""
    found = []
    names = [m[2] for m in HEADER.finditer(text)]
    for match in HEADER.finditer(text):
        end = text.find("\n\n", match.start())
        body = text[match.start():end].rstrip() if end >= 0 else ""
        lines = body.split("\n")
        deeper = all(line.startswith(match[1] + " ") or line.startswith(match[1] + ")") for line in lines[1:])
        if len(lines) > 1 and deeper and len(body) <= MAX_CHARS and names.count(match[2]) == 1 \
                and "```" not in body and "\t" not in body and following_is_outside(text, end, match[1]):
            found.append((match[2], body, match.start(), match.start() + len(body)))
    return found


def following_is_outside(text, end, indent):
    """The line after the blank one must not go on with the body."""
    rest = text[end:].lstrip("\n")
    first = rest.split("\n", 1)[0]
    return not rest or len(first) - len(first.lstrip()) <= len(indent)


class Functions:
    """The qualifying functions of the code documents of one side of the split."""

    def __init__(self, corpus):
        found = [[(name, body) for name, body, _, _ in extract(text)] for _, text in corpus.documents["code"]]
        self.documents = [functions for functions in found if functions]
        self.sizes = [len(functions) for functions in self.documents]

    def assemble(self, rng, chars):
        """A made-up module: functions of one to three files (these are alike) or of many, some renamed."""
        near = rng.random() < 0.7
        files = rng.choices(self.documents, self.sizes, k=rng.randint(1, 3) if near else 40)
        pool = [function for file in files for function in file]
        parts, used, size = [], set(), 0
        for _ in range(400):
            if size >= chars:
                break
            name, body = rng.choice(pool)
            if rng.random() < 0.4 and not name.startswith("__"):
                new = made_up(rng, 2, 3) + rng.choice(["", "_" + made_up(rng, 1, 3)])
                body = re.sub(rf"\b{re.escape(name)}\b", new, body)
                name = new
            header = HEADER.search(body)
            if name in used or header is None or header[2] != name:
                continue
            used.add(name)
            parts.append(body + rng.choice(["\n\n", "\n\n", "\n\n\n"]))
            size += len(parts[-1])
        return "".join(parts)
