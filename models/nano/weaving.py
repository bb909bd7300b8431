"""Putting statements into running text."""


def weave(rng, text, inserts, own_lines):
    """-> the text with the groups put at sentence or line ends, and [(end of statement, question, answer), ...]"""
    places = [i + 1 for i, c in enumerate(text[:-1]) if c == "\n" or (c in ".;:!?" and text[i + 1] == " ")]
    if own_lines:
        places = [p for p in places if text[p - 1] == "\n"]
    chosen = sorted(rng.choices(places or [len(text)], k=len(inserts)))
    out, asked, last = "", [], 0
    for place, group in zip(chosen, inserts):
        out += text[last:place]
        last = place
        lines = own_lines or any(len(q) and "." != s.strip()[-1] for s, q in group)     # key-value notations
        for statement, questions in group:
            if lines:
                out += ("" if out.endswith("\n") or not out else "\n") + statement + "\n"
            else:
                out += ("" if out.endswith((" ", "\n")) or not out else " ") + statement
            asked += [(len(out), q, a) for q, a in questions]
        if last < len(text) and text[last] not in " \n" and not out.endswith("\n"):
            out += " "
    return out + text[last:], asked
