"""Texts whose words have changed places, so that only the context tells how a phrase goes on."""
import keyword
import re

WORD = re.compile(r"[A-Za-z]{3,}")
KEPT = frozenset(keyword.kwlist)            # `def`, `return`, ...: functions stay functions


def scramble(rng, text):
    """Every word of the text stands for another of its words, the same one each time; Python's keywords stay."""
    words = sorted(set(WORD.findall(text)) - KEPT)
    others = rng.sample(words, len(words))
    new = dict(zip(words, others))
    return WORD.sub(lambda found: new.get(found[0], found[0]), text)
