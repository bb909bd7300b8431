"""Measure nano: held-out cases, head scores, and what evicting heads costs.

    python evaluate.py --corpus corpus --model out [--json results.json]

Weights are the saved bf16 ones, arithmetic is fp32.  Every answer is judged along the reference: `exact` is the
share of answers whose every token (and the closing <|im_end|>, where the answer ends) is the model's first choice,
which is the same as greedy decoding giving exactly that answer; `tokens` is the share of single tokens, given the
right ones before.  Copying is judged by `tokens`, everything else by `exact`.  For the question-answering samples
`include` is KVzip's measure: a really generated greedy answer contains the reference.

Evicting a head means that rows after the prefill do not see its columns of the context; the system prefix stays.
"""
import argparse
import json
import random
from pathlib import Path

import network
import torch
from corpus import Corpus
from measuring import columns, generate, head_scores, judge, lowest
from prompts import END_OF_TURN, Prompts
from tasks import Maker

COPIES = ("copy text", "copy code", "part text", "part code")
PARTS = ("samples", "full", "evicted", "random")
BARS = ("copy text", "copy code", "lookup", "needle", "profile", "function")
QUICK_START = ("This is my basic profile. My name is Kim living in Seoul. My major is computer science.",
               {"What is my name?": "Kim", "Do I live in Seoul?": "Yes", "What is my major?": "computer science",
                "Do I live in Paris?": "No", "Where do I live?": "Seoul", "Is my major computer science?": "Yes"})


def kinds(maker):
    """name -> how to make a held-out case"""
    prose = ("kjv", "docs")
    return {
        "copy text": lambda rng, n: maker.case(rng, n, "copy", rng.choice(prose)),
        "copy code": lambda rng, n: maker.case(rng, n, "copy", "code"),
        "part text": lambda rng, n: maker.case(rng, n, "part", rng.choice(prose)),
        "part code": lambda rng, n: maker.case(rng, n, "part", "code"),
        "lookup": lambda rng, n: maker.case(rng, n, "lookup"),
        "needle": lambda rng, n: maker.case(rng, n, "needle", rng.choice(prose)),
        "profile": lambda rng, n: maker.case(rng, n, "profile"),
        "function": lambda rng, n: maker.case(rng, n, "function"),
        "mixed": lambda rng, n: maker.case(rng, n, "mixed"),
    }


def held_out_scores(model, maker, lengths, cases, hidden=None, asked=2, only=None, misses=None):
    """-> {kind@length: {"tokens", "exact", "answers"}}"""
    results = {}
    for length in lengths:
        for kind, make in kinds(maker).items():
            if only and kind not in only:
                continue
            rng, judged = random.Random(f"evaluate/{kind}/{length}"), []
            for _ in range(cases):
                case = make(rng, length)
                cache = model.prefill(case.system + case.context)
                span = columns(case.system, case.context)
                for turn in case.turns[:asked]:
                    judged.append(judge(model, cache, turn, hidden=hidden, context=span))
                    if misses is not None and not judged[-1][1] and kind not in COPIES:
                        shown = generate(model, maker.prompts, cache, turn.query, 60, hidden=hidden, context=span)
                        query, answer = maker.prompts.decode(turn.query), maker.prompts.decode(turn.answer)
                        misses.append([kind, length, query, answer, shown])
            tokens, exact = (sum(column) / len(judged) for column in zip(*judged))
            results[f"{kind}@{length}"] = {"tokens": round(tokens, 4), "exact": round(exact, 4), "answers": len(judged)}
    return results


def conversation_score(model, maker, length, cases):
    """Exact share over all the turns of whole conversations, each turn after the true earlier ones."""
    rng, right = random.Random(f"conversation/{length}"), []
    for _ in range(cases):
        case = maker.case(rng, length, "mixed")
        cache, switch = model.prefill(case.system + case.context), rng.choice(maker.prompts.next_turns)
        for i, turn in enumerate(case.turns):
            if i:
                turn.query = switch + turn.query
            right.append(judge(model, cache, turn)[1])
            _, cache, _ = model.extend(turn.query + turn.answer + [END_OF_TURN], cache)
    return {"exact": round(sum(right) / len(right), 4), "answers": len(right)}


def read_samples(path):
    import pyarrow.parquet
    return pyarrow.parquet.read_table(path).to_pylist()


def sample_scores(model, prompts, rows, hidden=None, include=False):
    """Exact (and include) share over the questions of a sample data set."""
    exact, tokens, included = [], [], []
    for row in rows:
        context = prompts.encode(row["prompts"][0])
        cache, span = model.prefill(prompts.system + context), columns(prompts.system, context)
        for question, answer in zip(row["prompts"][1:], row["ground_truth"]):
            turn = Answer(prompts.query(question), prompts.encode(answer))
            right = judge(model, cache, turn, hidden=hidden, context=span)
            tokens.append(right[0])
            exact.append(right[1])
            if include:
                made = generate(model, prompts, cache, turn.query, 40, hidden=hidden, context=span)
                included.append(float(answer.lower() in made.lower()))
    result = {"tokens": round(sum(tokens) / len(tokens), 4), "exact": round(sum(exact) / len(exact), 4),
              "answers": len(exact)}
    if include:
        result["include"] = round(sum(included) / len(included), 4)
    return result


class Answer:
    ends = True

    def __init__(self, query, answer):
        self.query, self.answer = query, answer


def quick_start(model, prompts):
    context, expected = prompts.encode(QUICK_START[0]), QUICK_START[1]
    cache = model.prefill(prompts.system + context)
    return {q: [generate(model, prompts, cache, prompts.query(q), 20), a] for q, a in expected.items()}


def main():
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--samples", type=Path, default=here, help="folder of the sample_*.parquet files")
    parser.add_argument("--cases", type=int, default=50, help="contexts for each kind and length (default 50)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 4000, 8000])
    parser.add_argument("--draws", type=int, default=5, help="random choices of heads to compare with (default 5)")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="what to measure (default all)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    prompts, model = Prompts(args.model), network.load(args.model, args.device)
    maker = Maker(prompts, Corpus(args.corpus, held_out=True), True)
    results = {"misses": []}

    def report(name, value):
        results[name] = value
        print(name, json.dumps(value), flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")

    report("quick start", quick_start(model, prompts))
    sets = {"qa": read_samples(args.samples / "sample_qa_eng.parquet"),
            "repoqa": read_samples(args.samples / "sample_repoqa.parquet")}
    scores = {name: head_scores(model, prompts, prompts.encode(rows[0]["prompts"][0])) for name, rows in sets.items()}
    for name, table in scores.items():
        report(f"head scores {name}", [[round(x, 4) for x in row] for row in table.tolist()])
    merged = torch.maximum(*scores.values())
    random_heads = [lowest(torch.rand(merged.shape, generator=torch.Generator().manual_seed(i)).to(args.device), 0.6)
                    for i in range(args.draws)]
    choices = {"full": None, **{f"ratio {r}": lowest(merged, r) for r in (0.6, 0.4, 0.3)},
               **{f"random 0.6 #{i}": hidden for i, hidden in enumerate(random_heads)}}
    if "samples" in args.parts:
        for label, hidden in choices.items():
            for name, rows in sets.items():
                report(f"samples {name}, {label}", sample_scores(model, prompts, rows, hidden, name == "qa"))
    if "full" in args.parts:
        report("held out, full", held_out_scores(model, maker, args.lengths, args.cases, misses=results["misses"]))
        report("conversation@4000", conversation_score(model, maker, 4000, max(1, args.cases // 2)))
    for label, hidden in choices.items():
        if hidden is not None and ("random" if "random" in label else "evicted") in args.parts:
            few = max(1, args.cases // 2)
            report(f"held out, {label}", held_out_scores(model, maker, [4000], few, hidden, only=BARS))


if __name__ == "__main__":
    main()
