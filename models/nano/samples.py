"""Make nano's two sample data sets from held-out documents, in the schema of preprocessed SCBench.

    python samples.py --corpus corpus --model out [--out FOLDER]

sample_qa_eng.parquet   prompts (list<string>: context, then questions), ground_truth (list<string>)
sample_repoqa.parquet   the same, and lang (list<string>), repo (string), func_name (list<string>)

The text contexts are held-out running text with needles, key-value lines and profiles between the sentences, with
names and keys that training never saw.  The code contexts are held-out files of the standard library.  Only the
tokenizer of the model is used.  Contexts stay under 6,000 tokens: a reconstruction input of 2,000 tokens then still
ends inside the model's 8,192 positions.
"""
import argparse
import random
from pathlib import Path

import facts
import functions
import lookups
import pyarrow
import pyarrow.parquet
from corpus import Corpus
from prompts import Prompts
from weaving import weave

TEXT_SIZES = [3100, 3700, 4300, 4900, 5400, 5900]          # tokens, about
CODE_SIZES = [3000, 3600, 4200, 4800, 5300, 5900]
QUESTIONS = 12
LIST = pyarrow.list_(pyarrow.string())


def text_sample(rng, prompts, corpus, size, kind):
    me = rng.random() < 0.5
    inserts = [[needle] for needle in lookups.needles(rng, 5, True)] + facts.people(rng, 3, True, me)
    table = lookups.table(rng, 6, rng.choice([n for n in lookups.NOTATIONS if "The value" not in n and "\t" not in n]))
    inserts.append(table)
    spent = len(prompts.encode("\n".join(s for group in inserts for s, _ in group)))
    running = corpus.slice(rng, kind, size * 6)
    running = running[:prompts.cut(running, size - spent)[1]]
    running = running[:running.rfind("\n") + 1]
    context, asked = weave(rng, running, inserts, own_lines=False)
    by_kind = [[], [], []]
    for _, question, answer in asked:
        spot = 1 if any(question == q for _, qs in table for q, _ in qs) else \
            0 if any(question == q for group in inserts if len(group) == 1 for q, _ in group[0][1]) else 2
        by_kind[spot].append((question, answer))
    chosen = sum((rng.sample(group, min(len(group), QUESTIONS // 3)) for group in by_kind), [])
    rng.shuffle(chosen)
    return context.strip(), chosen


def code_documents(corpus):
    return [(n, t) for n, t in corpus.documents["code"]
            if n.startswith("cpython/") and "stringprep" not in n and len(functions.extract(t)) >= 4]


def code_sample(rng, prompts, documents, size, used):
    """A part of a held-out file (of a second one too if it is short), cut at a blank line near the size."""
    for _ in range(5000):
        rng.shuffle(documents)
        name, text = documents[0]
        if name in used:
            continue
        lines = text.split("\n")
        start = rng.randrange(max(1, len(lines) - 150))
        text = "\n".join(lines[start:])
        text = text[text.find("\n\n") + 2:]
        if len(prompts.encode(text)) < size:
            text += "\n\n" + documents[1][1]
        covered = prompts.cut(text, size)[1]
        text = text[:text.rfind("\n\n", 0, covered) + 2]
        found = functions.extract(text)
        if len(found) >= 9 and len(prompts.encode(text)) > size - 250:
            used.add(name)
            chosen = rng.sample(found, min(len(found), QUESTIONS))
            return text.rstrip() + "\n", [(functions.QUESTIONS[0].format(f=f[0]), functions.answer(f[1]), f[0])
                                          for f in chosen]
    raise SystemExit(f"no code context of {size} tokens has enough functions")


def write(rows, schema, path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(schema)), path,
                                compression="snappy", use_dictionary=False, version="1.0")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    prompts, corpus = Prompts(args.model), Corpus(args.corpus, held_out=True)
    rng, text_rows, code_rows = random.Random(args.seed), [], []
    for i, size in enumerate(TEXT_SIZES):
        context, asked = text_sample(rng, prompts, corpus, size, ("kjv", "docs")[i % 2])
        text_rows.append({"prompts": [context] + [q for q, _ in asked], "ground_truth": [a for _, a in asked]})
    documents, used = code_documents(corpus), set()
    for size in CODE_SIZES:
        context, asked = code_sample(rng, prompts, documents, size, used)
        code_rows.append({"prompts": [context] + [q for q, _, _ in asked], "ground_truth": [a for _, a, _ in asked],
                          "lang": ["python"] * len(asked), "repo": "cpython", "func_name": [f for _, _, f in asked]})
    args.out.mkdir(parents=True, exist_ok=True)
    schema = [("prompts", LIST), ("ground_truth", LIST)]
    write(text_rows, schema, args.out / "sample_qa_eng.parquet")
    write(code_rows, schema + [("lang", LIST), ("repo", pyarrow.string()), ("func_name", LIST)],
          args.out / "sample_repoqa.parquet")
    for row in text_rows + code_rows:
        print(len(prompts.encode(row["prompts"][0])), "tokens,", len(row["ground_truth"]), "questions")


if __name__ == "__main__":
    main()
