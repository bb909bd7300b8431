"""Asking the model: judged answers, greedy decoding, head scores and which heads they evict."""
import torch
from prompts import END_OF_TURN

CHUNK = 2000                # context tokens of one reconstruction input


def judge(model, cache, turn, **evicted):
    """(share of right tokens, all right) of one answer asked right after the prefill."""
    target = turn.answer + [END_OF_TURN] * turn.ends
    logits, _, _ = model.extend(turn.query + turn.answer, cache, **evicted)
    first = len(turn.query) - 1
    right = (logits[first:first + len(target)].argmax(-1) == torch.tensor(target, device=logits.device)).float()
    return right.mean().item(), float(right.all())


def generate(model, prompts, cache, query, most, **evicted):
    """Greedy decoding after a prefill."""
    made, ids = [], query
    while len(made) < most:
        logits, cache, _ = model.extend(ids, cache, **evicted)
        ids = [int(logits[-1].argmax())]
        if ids[0] <= END_OF_TURN:
            break
        made += ids
    return prompts.decode(made)


def columns(case_system, context):
    return len(case_system), len(case_system) + len(context)


def head_scores(model, prompts, context):
    """KVzip's head scores of one context of ids: [layers, kv heads]."""
    cache, sink, found = model.prefill(prompts.system + context), len(prompts.system), []
    span = columns(prompts.system, context)
    for start in range(0, len(context), CHUNK):
        end = min(start + CHUNK, len(context))
        ids = prompts.repeat(context, start) + context[start:end]
        found.append(model.extend(ids, cache, context=span, chunk=(sink + start, sink + end))[2])
    return torch.cat(found, -1).amax(-1)


def lowest(scores, ratio):
    """True where a head is evicted: all but the round(n * ratio) highest."""
    kept = scores.flatten().argsort(descending=True, stable=True)[:round(scores.numel() * ratio)]
    hidden = torch.ones(scores.numel(), dtype=torch.bool, device=scores.device)
    hidden[kept] = False
    return hidden.view_as(scores)
