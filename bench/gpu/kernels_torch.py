"""Rates of this GPU through PyTorch: FlashAttention-2, cuDNN attention, matrix products, copies. needs: torch with CUDA.

Beside them, in turn, our attention kernels, where libgpu_timed.so was packed.
"""
import ctypes
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

ATTENTION = [  # heads, KV heads, width, queries, keys, causal
    (28, 4, 128, 2032, 124032, False), (28, 4, 128, 16000, 16000, True), (28, 4, 128, 16000, 124000, True), (32, 8, 128, 32000, 32000, True),
    (32, 8, 64, 2032, 124032, False), (32, 8, 64, 16000, 16000, True),
    (16, 8, 256, 2032, 124032, False), (16, 8, 256, 16000, 16000, True)]
PRODUCTS = [(3584, 3584), (512, 3584), (18944, 3584), (3584, 18944), (4096, 4096), (14336, 4096), (4096, 14336)]


def once(call):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def in_turn(calls, rounds=9):
    """Median milliseconds of each call; they take turns, so that clocks and heat are the same for all."""
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(once(call))
    return {name: sorted(t)[rounds // 2] for name, t in times.items()}


def milliseconds(call, runs=7):
    return in_turn({"": call}, runs)[""]


def library():
    """Our kernels (cuda/dev/library.cc), where the folder of this file or its first argument has them."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("libgpu_timed.so")
    if not path.exists():
        return None
    lib = ctypes.CDLL(str(path))
    lib.attention_open.restype = ctypes.c_void_p
    lib.attention_run.argtypes = lib.attention_close.argtypes = [ctypes.c_void_p]
    return lib


OURS = {"ours, portable": (0, 0), "ours": (1, 0), "ours by KV head": (1, 1), "ours, pairs": (2, 0), "ours, pairs by KV head": (2, 1)}


def attention(lib, heads, kv_heads, width, queries, keys, causal):
    q, k, v = (torch.randn(1, h, n, width, device="cuda", dtype=torch.bfloat16)
               for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys)))
    pairs = queries * (keys - queries / 2 if causal else keys)

    def flash():
        torch.ops.aten._flash_attention_forward(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), None, None,
                                                queries, keys, 0.0, causal, False)

    def cudnn():
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)

    calls, opened = {"FlashAttention-2": flash, "cuDNN": cudnn}, []
    if causal and queries != keys:
        del calls["cuDNN"]  # its causal mask through PyTorch begins at the first key
    for name, (path, by_kv_head) in (OURS if lib else {}).items():
        opened.append(lib.attention_open(path, by_kv_head, heads, kv_heads, width, queries, keys, int(causal)))
        calls[name] = lambda case=opened[-1]: lib.attention_run(case)
    rates = {name: 4 * heads * width * pairs / ms / 1e9 for name, ms in in_turn(calls).items()}
    print(f"{heads}/{kv_heads} x {width}, {queries} x {keys}{' causal' if causal else ''}:",
          ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()), flush=True)
    for case in opened:
        lib.attention_close(case)


def main():
    lib = library()
    print("attention, TFLOP/s")
    for shape in ATTENTION:
        attention(lib, *shape)
    print("products through cuBLAS, TFLOP/s")
    for rows in (2032, 16256):
        for out, into in PRODUCTS:
            x = torch.randn(rows, into, device="cuda", dtype=torch.bfloat16)
            w = torch.randn(out, into, device="cuda", dtype=torch.bfloat16)
            print(f"{rows} x {out} x {into}: {2 * rows * out * into / milliseconds(lambda: F.linear(x, w)) / 1e9:.0f}", flush=True)
    a = torch.empty(2**32, device="cuda", dtype=torch.uint8)
    b = torch.empty_like(a)
    print(f"copy {2 * a.numel() / milliseconds(lambda: b.copy_(a)) / 1e9:.2f} TB/s read and written", flush=True)
    host, device = torch.empty(2**30, dtype=torch.uint8).pin_memory(), torch.empty(2**30, dtype=torch.uint8, device="cuda")
    print(f"host to device {2**30 / milliseconds(lambda: device.copy_(host, non_blocking=True)) / 1e6:.1f} GB/s", flush=True)


if __name__ == "__main__":
    main()
