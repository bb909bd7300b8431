"""Random two-layer models of head_dim 64, 128 and 256, and what PyTorch makes of them in fp32 and in its own bf16.

usage: reference.py OUT [LENGTH ...=1 19 111 2033 8191]                needs: torch, safetensors
Writes OUT/d64, OUT/d128, OUT/d256: a Hugging Face folder (bf16), cases.json, and expected.safetensors with, a case,
pair_scores [L,H,C] and logits [V] in fp32 and the largest error that bf16 arithmetic makes in each. Of short contexts,
whose few scores say little about an error, there are several draws: n1-0, n1-1, ...
"""
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYERS, VOCAB, SINK, CHUNK, THETA, EPS = 2, 512, 30, 2000, 1e6, 1e-6


class Net:
    def __init__(self, dim, generator):
        self.dim, self.heads, self.kv, self.hidden, self.inner = dim, 6, 2, 384, 512
        wide, narrow, made = self.heads * dim, self.kv * dim, {}

        def add(name, *shape, scale=None):
            made[name] = (torch.randn(*shape, generator=generator) * (scale or 1.5 / math.sqrt(shape[-1]))).bfloat16()

        add("model.embed_tokens.weight", VOCAB, self.hidden, scale=1.0)
        add("lm_head.weight", VOCAB, self.hidden)
        for i in range(LAYERS):
            for part, rows, columns in (("self_attn.q_proj", wide, self.hidden), ("self_attn.k_proj", narrow, self.hidden),
                                        ("self_attn.v_proj", narrow, self.hidden), ("self_attn.o_proj", self.hidden, wide),
                                        ("mlp.gate_proj", self.inner, self.hidden), ("mlp.up_proj", self.inner, self.hidden),
                                        ("mlp.down_proj", self.hidden, self.inner)):
                add(f"model.layers.{i}.{part}.weight", rows, columns)
            for norm in ("input_layernorm", "post_attention_layernorm"):
                made[f"model.layers.{i}.{norm}.weight"] = torch.ones(self.hidden).bfloat16()
        made["model.norm.weight"] = torch.ones(self.hidden).bfloat16()
        self.weights = made

    def config(self):
        return {"architectures": ["LlamaForCausalLM"], "hidden_size": self.hidden, "intermediate_size": self.inner,
                "num_hidden_layers": LAYERS, "num_attention_heads": self.heads, "num_key_value_heads": self.kv,
                "head_dim": self.dim, "vocab_size": VOCAB, "rms_norm_eps": EPS, "rope_theta": THETA, "hidden_act": "silu",
                "max_position_embeddings": 16384, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}

    def run(self, ids, dtype, cache=None, chunk=None):
        """-> hidden rows, cache, scores of context positions `chunk` under the published softmax"""
        w = {name: t.to(DEVICE, dtype) for name, t in self.weights.items()}
        past = cache[0][0].shape[1] if cache else 0
        x, rows, kept, found = F.embedding(ids, w["model.embed_tokens.weight"]), len(ids), [], []
        at = torch.arange(past, past + rows, device=DEVICE).float()
        angle = at[:, None] * THETA ** (-torch.arange(0, self.dim, 2, device=DEVICE).float() / self.dim)
        cos, sin = (torch.cat([f, f], -1).to(dtype)[None] for f in (angle.cos(), angle.sin()))

        def linear(y, name):
            return F.linear(y, w[name])

        def heads(y, count):
            return y.view(rows, count, self.dim).transpose(0, 1)

        def rope(y):
            a, b = y.chunk(2, -1)
            return y * cos + torch.cat([-b, a], -1) * sin

        def norm(y, name):
            return (y.float() * (y.float().pow(2).mean(-1, keepdim=True) + EPS).rsqrt()).to(dtype) * w[name]

        for i in range(LAYERS):
            p = f"model.layers.{i}."
            h = norm(x, p + "input_layernorm.weight")
            q = rope(heads(linear(h, p + "self_attn.q_proj.weight"), self.heads))
            k = rope(heads(linear(h, p + "self_attn.k_proj.weight"), self.kv))
            v = heads(linear(h, p + "self_attn.v_proj.weight"), self.kv)
            if cache:
                k, v = torch.cat([cache[i][0], k], 1), torch.cat([cache[i][1], v], 1)
            kept.append((k, v))
            column = torch.arange(past + rows, device=DEVICE)
            seen = column[None] <= torch.arange(past, past + rows, device=DEVICE)[:, None]
            if chunk:
                found.append(self.score(q, k, seen, column, chunk, past))
            wide = [t.repeat_interleave(self.heads // self.kv, 0) for t in (k, v)]
            out = F.scaled_dot_product_attention(q, *wide, attn_mask=seen[None])
            x = x + linear(out.transpose(0, 1).reshape(rows, -1), p + "self_attn.o_proj.weight")
            h = norm(x, p + "post_attention_layernorm.weight")
            x = x + linear(F.silu(linear(h, p + "mlp.gate_proj.weight")) * linear(h, p + "mlp.up_proj.weight"), p + "mlp.down_proj.weight")
        return linear(norm(x[-1:], "model.norm.weight"), "lm_head.weight")[0], kept, found

    def score(self, q, k, seen, column, chunk, past):
        allowed = (column < SINK) | ((column >= chunk[0]) & (column < chunk[1])) | (column >= past)
        best = []
        for group, keys in zip(q.view(self.kv, -1, *q.shape[1:]), k):
            z = (group @ keys.T / math.sqrt(self.dim)).masked_fill(~(seen & allowed), -math.inf)
            best.append(z.softmax(-1)[..., chunk[0]:chunk[1]].amax((0, 1)))
        return torch.stack(best)


@torch.no_grad()
def values(net, case, dtype):
    ids = torch.tensor(case["sys_ids"] + case["ctx_ids"], device=DEVICE)
    logits, cache, _ = net.run(ids, dtype)
    parts = []
    for i, repeat in enumerate(case["repeat_inputs"]):
        start, end = SINK + i * CHUNK, min(SINK + (i + 1) * CHUNK, len(ids))
        parts.append(torch.stack(net.run(torch.tensor(repeat, device=DEVICE), dtype, cache, (start, end))[2]))
    return {"pair_scores": torch.cat(parts, -1).float().cpu(), "logits": logits.float().cpu()}


def main():
    out, lengths = Path(sys.argv[1]), [int(n) for n in sys.argv[2:]] or [1, 19, 111, 2033, 8191]
    torch.backends.cuda.matmul.allow_tf32 = False
    for dim in (64, 128, 256):
        generator, folder = torch.Generator().manual_seed(dim), out / f"d{dim}"
        folder.mkdir(parents=True, exist_ok=True)
        net, cases, expected = Net(dim, generator), [], {}

        def draw(count):
            return torch.randint(0, VOCAB, (count,), generator=generator).tolist()

        for length, index in [(n, i) for n in lengths for i in range(16 if n < 100 else 1)]:
            context = draw(length)
            case = {"name": f"n{length}-{index}", "length": length, "sys_ids": draw(SINK), "ctx_ids": context, "chunk_size": CHUNK,
                    "repeat_inputs": [draw(17) + context[at:at + CHUNK] for at in range(0, length, CHUNK)]}
            exact, low = values(net, case, torch.float32), values(net, case, torch.bfloat16)
            cases.append(case)
            for name, tensor in exact.items():
                expected[f"{case['name']}/{name}"] = tensor.contiguous()
                expected[f"{case['name']}/{name}_bf16_error"] = (low[name] - tensor).abs().max().view(1)
        save_file(net.weights, str(folder / "model.safetensors"))
        save_file(expected, str(folder / "expected.safetensors"))
        (folder / "config.json").write_text(json.dumps(net.config(), indent=1))
        (folder / "cases.json").write_text(json.dumps({"cases": cases}))
        print(folder, {k: round(float(v), 5) for k, v in expected.items() if k.endswith("error")}, flush=True)


if __name__ == "__main__":
    main()
