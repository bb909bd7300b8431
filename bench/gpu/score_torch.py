"""Seconds and peak memory of the published scoring procedure on this GPU, and decoding after it.

usage: score_torch.py [SHAPE=qwen2.5-7b] [CONTEXT_TOKENS=124000] [--decode | --decode-only]       needs: torch with CUDA, transformers
Random weights of the model's shape on transformers' own modules; FlashAttention-2 through PyTorch's operator; prefill
in pieces of 16,000 tokens, the KV of all layers kept, one pass a chunk of 2,000. Prints one JSON line a run.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, DynamicCache, Qwen2Config, Qwen2ForCausalLM
from transformers.masking_utils import AttentionMaskInterface

# hidden, intermediate, layers, query heads, KV heads, vocabulary; heads are as wide as hidden / query heads
SHAPES = {"llama3.2-1b": (2048, 8192, 16, 32, 8, 128256),
          "qwen2.5-7b": (3584, 18944, 28, 28, 4, 152064), "llama3.1-8b": (4096, 14336, 32, 32, 8, 128256),
          "qwen2.5-14b": (5120, 13824, 48, 40, 8, 152064)}
SINK, CHUNK, PIECE = 30, 2000, 16000


class Scorer:
    """Attention of the model; while `chunk` is set it also scores that span."""

    def __init__(self, layers):
        self.layers, self.chunk, self.mask = layers, None, None
        self.found = [[] for _ in range(layers)]

    def attend(self, module, q, k, v, _mask, **_):
        if self.chunk:
            self.score(module.layer_idx, q, k)
        # batch, rows, heads, width; causal against the end of the keys
        out = torch.ops.aten._flash_attention_forward(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), None, None,
                                                      q.shape[2], k.shape[2], 0.0, True, False)[0]
        return out, None

    def score(self, layer, q, k):
        (start, end), (_, _, rows, width) = self.chunk, q.shape
        keys = torch.cat([k[:, :, :SINK], k[:, :, start:end], k[:, :, -rows:]], 2).unsqueeze(2).transpose(-2, -1).contiguous()
        logits = torch.matmul(q.view(1, k.shape[1], -1, rows, width), keys) / math.sqrt(width)
        if self.mask is None or self.mask.shape[0] != rows:
            self.mask = torch.full((rows, rows), torch.finfo(logits.dtype).min, device=q.device).triu(1)
        logits[..., -rows:] += self.mask
        self.found[layer].append(F.softmax(logits, -1)[..., SINK:SINK + end - start].amax((-3, -2)))


def random_ids(count):
    return torch.randint(0, 128000, (1, count), device="cuda")


def prefill(model, ids):
    cache = DynamicCache()
    for at in range(0, ids.shape[1], PIECE):
        model.model(ids[:, at:at + PIECE], past_key_values=cache, use_cache=True)
    return cache


def timed(model, scorer, context):
    scorer.chunk, scorer.found = None, [[] for _ in range(scorer.layers)]
    ids = random_ids(SINK + context)
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    start = time.time()
    cache = prefill(model, ids)
    torch.cuda.synchronize()
    filled = time.time()
    for at in range(SINK, SINK + context, CHUNK):
        end = min(at + CHUNK, SINK + context)
        scorer.chunk = (at, end)
        model.model(torch.cat([random_ids(14 if at == SINK else 28), ids[:, at:end]], 1), past_key_values=cache, use_cache=True)
        cache.crop(SINK + context)
    heads = torch.stack([torch.cat(f, -1).amax(-1).squeeze() for f in scorer.found])
    torch.cuda.synchronize()
    return {"tokens": context, "prefill_s": round(filled - start, 2), "seconds": round(time.time() - start, 2),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2), "mean_head_score": round(heads.float().mean().item(), 4)}


def decoding(model, scorer, context, steps=20):
    scorer.chunk = None
    cache, token = prefill(model, random_ids(context)), random_ids(1)
    for _ in range(3):
        model(token, past_key_values=cache, use_cache=True)
    torch.cuda.synchronize()
    start = time.time()
    for _ in range(steps):
        model(token, past_key_values=cache, use_cache=True).logits.argmax(-1)
    torch.cuda.synchronize()
    return {"decode_ms": round((time.time() - start) / steps * 1e3, 2), "tokens": context}


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    shape, context = (names + ["qwen2.5-7b"])[0], int((names + ["", "124000"])[1])
    hidden, inner, layers, heads, kv_heads, vocab = SHAPES[shape]
    torch.manual_seed(0)
    scorer = Scorer(layers)
    AttentionInterface.register("scored", scorer.attend)
    AttentionMaskInterface.register("scored", lambda *_, **__: None)
    config = Qwen2Config(hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
                         num_key_value_heads=kv_heads, vocab_size=vocab, max_position_embeddings=1010000, rope_theta=1e7,
                         tie_word_embeddings=False)
    config._attn_implementation = "scored"
    with torch.device("cuda"):
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen2ForCausalLM(config).eval()
        torch.set_default_dtype(torch.float32)
    with torch.inference_mode():
        timed(model, scorer, 6000)
        if "--decode-only" in sys.argv:
            print(json.dumps({"shape": shape, **decoding(model, scorer, context)}), flush=True)
            return
        for tokens in sorted({min(32000, context), context}):
            print(json.dumps({"shape": shape, **timed(model, scorer, tokens)}), flush=True)
        if "--decode" in sys.argv:
            print(json.dumps({"shape": shape, **decoding(model, scorer, context)}), flush=True)


if __name__ == "__main__":
    main()
