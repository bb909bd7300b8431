"""The network: Llama's layout, small, with the parameter names Hugging Face gives it.

`forward` is for training; `prefill` and `extend` keep keys and values, hide evicted heads' context from later rows,
and record the scores of a reconstruction input.
"""
import json
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256, "intermediate_size": 768,
    "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 4096,
    "rms_norm_eps": 1e-6, "rope_theta": 100000.0, "hidden_act": "silu", "max_position_embeddings": 8192,
    "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False, "torch_dtype": "bfloat16",
    "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
HIDDEN, LAYERS, DIM = CONFIG["hidden_size"], CONFIG["num_hidden_layers"], CONFIG["head_dim"]
HEADS, KV_HEADS = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"]
GROUP = HEADS // KV_HEADS


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        return F.rms_norm(x.float(), (HIDDEN,), self.weight.float(), CONFIG["rms_norm_eps"]).to(x.dtype)


def angles(start, count, device):
    """cos and sin for the positions start .. start + count - 1, [count, DIM]."""
    rates = CONFIG["rope_theta"] ** (-torch.arange(0, DIM, 2, device=device).float() / DIM)
    turns = torch.arange(start, start + count, device=device).float()[:, None] * rates
    turns = torch.cat([turns, turns], -1)
    return turns.cos(), turns.sin()


def rotate(x, rope):
    a, b = x.chunk(2, -1)
    return (x * rope[0] + torch.cat([-b, a], -1) * rope[1]).to(x.dtype)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN, HEADS * DIM, bias=False)
        self.k_proj = nn.Linear(HIDDEN, KV_HEADS * DIM, bias=False)
        self.v_proj = nn.Linear(HIDDEN, KV_HEADS * DIM, bias=False)
        self.o_proj = nn.Linear(HEADS * DIM, HIDDEN, bias=False)

    def forward(self, x, rope, extend=None):
        batch, rows, _ = x.shape
        q = rotate(self.q_proj(x).view(batch, rows, HEADS, DIM).transpose(1, 2), rope)
        k = rotate(self.k_proj(x).view(batch, rows, KV_HEADS, DIM).transpose(1, 2), rope)
        v = self.v_proj(x).view(batch, rows, KV_HEADS, DIM).transpose(1, 2)
        if extend is None:
            wide = [t.repeat_interleave(GROUP, 1) for t in (k, v)]      # cuDNN's kernel wants as many heads as q has
            out = F.scaled_dot_product_attention(q, *wide, is_causal=True)
        else:
            out, k, v = extend(q, k, v)
        return self.o_proj(out.transpose(1, 2).reshape(batch, rows, HEADS * DIM)), (k, v)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, CONFIG["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(HIDDEN, CONFIG["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(CONFIG["intermediate_size"], HIDDEN, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = Attention(), Mlp()
        self.input_layernorm, self.post_attention_layernorm = Norm(), Norm()

    def forward(self, x, rope, extend=None):
        out, kv = self.self_attn(self.input_layernorm(x), rope, extend)
        x = x + out
        return x + self.mlp(self.post_attention_layernorm(x)), kv


class Nano(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm()
        for name, p in self.named_parameters():
            if p.dim() > 1:
                narrow = math.sqrt(2 * LAYERS) if "o_proj" in name or "down_proj" in name else 1
                nn.init.normal_(p, 0, 0.02 / narrow)

    def logits(self, x):
        return F.linear(self.norm(x), self.embed_tokens.weight)

    def forward(self, ids):
        x, rope = self.embed_tokens(ids), angles(0, ids.shape[1], ids.device)
        for layer in self.layers:
            x, _ = layer(x, rope)
        return self.logits(x)

    @torch.no_grad()
    def prefill(self, ids):
        """-> [(K, V) of each layer]"""
        ids = torch.tensor([ids], device=self.norm.weight.device)
        x, rope, cache = self.embed_tokens(ids), angles(0, ids.shape[1], ids.device), []
        for layer in self.layers:
            x, kv = layer(x, rope)
            cache.append(kv)
        return cache

    @torch.no_grad()
    def extend(self, ids, cache, hidden=None, context=None, chunk=None):
        """Run more tokens after a cache.  -> logits [rows, vocabulary], the longer cache, scores.

        hidden  bool [layers, kv heads]: heads whose columns context = (begin, end) these rows do not see
        chunk   (begin, end): score these columns as a reconstruction input does, [layers, kv heads, columns]
        """
        device, past = self.norm.weight.device, cache[0][0].shape[2]
        ids = torch.tensor([ids], device=device)
        rows, x, longer, scores = ids.shape[1], self.embed_tokens(ids), [], []
        rope = angles(past, rows, device)
        column = torch.arange(past + rows, device=device)
        causal = column[None] <= torch.arange(past, past + rows, device=device)[:, None]
        for i, layer in enumerate(self.layers):
            seen = causal.expand(HEADS, -1, -1)
            if hidden is not None:
                gone = hidden[i].repeat_interleave(GROUP)[:, None, None]
                seen = seen & ~(gone & ((column >= context[0]) & (column < context[1])))

            def attend(q, k, v):
                k, v = torch.cat([cache[i][0], k], 2), torch.cat([cache[i][1], v], 2)
                wide = [t.repeat_interleave(GROUP, 1) for t in (k, v)]
                if chunk:
                    scores.append(self.reconstruction(q, wide[0], causal, column, context, chunk, past))
                return F.scaled_dot_product_attention(q, *wide, attn_mask=seen[None]), k, v

            x, kv = layer(x, rope, attend)
            longer.append(kv)
        return self.logits(x)[0], longer, torch.stack(scores) if chunk else None

    @staticmethod
    def reconstruction(q, k, causal, column, context, chunk, past):
        """Largest probability each chunk column gets, softmax over [sink | chunk | the input itself] alone."""
        allowed = (column < context[0]) | ((column >= chunk[0]) & (column < chunk[1])) | (column >= past)
        z = (q @ k.transpose(-1, -2)) / math.sqrt(DIM)
        z = z.masked_fill(~(causal & allowed), float("-inf")).softmax(-1)[0, ..., chunk[0]:chunk[1]]
        return z.amax(1).view(KV_HEADS, GROUP, -1).amax(1)


def save(model, folder):
    weights = {"model." + name: p.detach().to(torch.bfloat16).cpu().contiguous()
               for name, p in model.state_dict().items()}
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    generation = {"bos_token_id": 0, "eos_token_id": [2, 0], "pad_token_id": 0, "do_sample": False,
                  "max_new_tokens": 256}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


def load(folder, device="cpu"):
    """The saved (bf16) weights, computed with in fp32."""
    model = Nano()
    model.load_state_dict({k.removeprefix("model."): w.float()
                           for k, w in load_file(str(folder / "model.safetensors")).items()})
    return model.to(device).eval()
