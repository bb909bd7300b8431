#!/usr/bin/env python3
"""Seconds and peak memory of reconstruction scoring with PyTorch on CPU: the published procedure, fp32.

usage: score_torch.py MODEL_DIR [CONTEXT_TOKENS=6000] [THREADS=2]        needs: torch, transformers >= 4.57

Random token ids, chunks of 2000, scaled-dot-product attention, the KV of all layers kept, one pass a chunk.
Prints one JSON line. Run in turn with ours by score.mjs.
"""
import json
import math
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM, DynamicCache

SINK, CHUNK = 40, 2000


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Scorer:
    """A forward hook on every attention module: scores one chunk from the layer's input and the cached keys."""

    def __init__(self, model):
        self.config, self.scores, self.chunk = model.config, [[] for _ in model.model.layers], None
        for layer in model.model.layers:
            layer.self_attn.register_forward_hook(self, with_kwargs=True)

    def __call__(self, module, args, kwargs, output):
        if self.chunk is None:
            return
        start, end, cache = self.chunk
        x, (cos, sin) = kwargs["hidden_states"], kwargs["position_embeddings"]
        rows, kv_heads = x.shape[1], self.config.num_key_value_heads
        q = rotate(module.q_proj(x).view(1, rows, -1, module.head_dim).transpose(1, 2), cos[:, None], sin[:, None])
        k = cache.layers[module.layer_idx].keys
        k = torch.cat([k[:, :, :SINK], k[:, :, start:end], k[:, :, -rows:]], 2)
        logits = q.view(1, kv_heads, -1, rows, module.head_dim) @ k.unsqueeze(2).mT / math.sqrt(module.head_dim)
        logits[..., -rows:] += torch.full((rows, rows), -math.inf).triu(1)
        seen = logits.softmax(-1)[..., SINK:SINK + end - start]
        self.scores[module.layer_idx].append(seen.amax((-3, -2)))


def main():
    path, context = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6000
    torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").eval()
    scorer, total = Scorer(model), SINK + context
    ids = torch.randint(3, model.config.vocab_size, (1, total), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        began = time.perf_counter()
        cache = DynamicCache()
        model.model(ids, past_key_values=cache, use_cache=True)
        prefilled = time.perf_counter()
        for start in range(SINK, total, CHUNK):
            end = min(start + CHUNK, total)
            scorer.chunk = (start, end, cache)
            model.model(torch.cat([ids[:, :30], ids[:, start:end]], 1), past_key_values=cache, use_cache=True)
            cache.crop(total)
        done = time.perf_counter()
    heads = torch.stack([torch.cat(s, -1).amax(-1)[0] for s in scorer.scores])
    print(json.dumps({"tokens": context, "prefill_s": round(prefilled - began, 2), "seconds": round(done - began, 2),
                      "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                      "mean_head_score": round(heads.mean().item(), 4)}))


if __name__ == "__main__":
    main()
