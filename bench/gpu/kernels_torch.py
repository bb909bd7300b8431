"""Rates of this GPU through PyTorch: FlashAttention-2, cuDNN attention, matrix products, copies. needs: torch with CUDA.

The shapes are those that cuda/dev/measure.cu times for our kernels; run both in one job.
"""
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

ATTENTION = [  # heads, KV heads, width, queries, keys, causal
    (28, 4, 128, 2032, 124032, False), (28, 4, 128, 16000, 16000, True), (32, 8, 128, 32000, 32000, True),
    (32, 8, 64, 2032, 124032, False), (32, 8, 64, 16000, 16000, True),
    (16, 8, 256, 2032, 124032, False), (16, 8, 256, 16000, 16000, True)]
PRODUCTS = [(3584, 3584), (512, 3584), (18944, 3584), (3584, 18944), (4096, 4096), (14336, 4096), (4096, 14336)]


def milliseconds(call, runs=7):
    call()
    begin, end, times = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True), []
    for _ in range(runs):
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)[runs // 2]


def tell(name, operations, call):
    try:
        ms = milliseconds(call)
        print(f"{name}: {ms:.3f} ms {operations / ms / 1e9:.0f} TFLOP/s", flush=True)
    except RuntimeError as error:
        print(f"{name}: {str(error).splitlines()[0][:120]}", flush=True)


def attention(heads, kv_heads, width, queries, keys, causal):
    q, k, v = (torch.randn(1, h, n, width, device="cuda", dtype=torch.bfloat16)
               for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys)))
    pairs = queries * keys / (2 if causal else 1)
    shape = f"{heads}/{kv_heads} x {width}, {queries} x {keys}{' causal' if causal else ''}"

    def flash():
        torch.ops.aten._flash_attention_forward(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), None, None,
                                                queries, keys, 0.0, causal, False)

    def cudnn():
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)

    tell(f"FlashAttention-2 {shape}", 4 * heads * width * pairs, flash)
    tell(f"cuDNN {shape}", 4 * heads * width * pairs, cudnn)


def main():
    for shape in ATTENTION:
        attention(*shape)
    for rows in (2032, 16256):
        for out, into in PRODUCTS:
            x = torch.randn(rows, into, device="cuda", dtype=torch.bfloat16)
            w = torch.randn(out, into, device="cuda", dtype=torch.bfloat16)
            tell(f"product {rows} x {out} x {into}", 2 * rows * out * into, lambda: F.linear(x, w))
    a = torch.empty(2**32, device="cuda", dtype=torch.uint8)
    b = torch.empty_like(a)
    print(f"copy {2 * a.numel() / milliseconds(lambda: b.copy_(a)) / 1e9:.2f} TB/s read and written", flush=True)
    host, device = torch.empty(2**30, dtype=torch.uint8).pin_memory(), torch.empty(2**30, dtype=torch.uint8, device="cuda")
    print(f"host to device {2**30 / milliseconds(lambda: device.copy_(host, non_blocking=True)) / 1e6:.1f} GB/s", flush=True)


if __name__ == "__main__":
    main()
