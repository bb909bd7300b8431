// Gathers the kernels of one instruction set; HEADZIP_ISA names it.
#pragma once
#include "attention.h"
#include "elementwise.h"
#include "linear.h"

namespace headzip::cpu {
namespace {

constexpr Kernels kTable{
    .name = HEADZIP_ISA,
    .strip = kStrip,
    .vector_bytes = HEADZIP_VECTOR_BYTES,
    .pack_rows = pack_rows,
    .pack_panels = pack_panels,
    .gemm = gemm,
    .few_rows = few_rows,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .dequantize = dequantize,
    .rms_norm = rms_norm,
    .rotate_halves = rotate_halves,
    .silu_mul = silu_mul,
    .gelu_tanh_mul = gelu_tanh_mul,
    .finite = finite,
    .fma_peak = fma_peak,
};

}  // namespace
}  // namespace headzip::cpu
