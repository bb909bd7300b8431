// Weights of any stored type as fp32, on the host.
#pragma once
#include "../model.h"

namespace headzip {

namespace cpu {
struct Kernels;
}

// `count` elements of a weight, row by row, to `out`; the first of them starts a block of its type.
void dequantize(const cpu::Kernels& kernels, const Weight& w, int64_t first, int64_t count, float* out);
// With the processor's widest kernels: all give the same bits.
void dequantize(const Weight& w, int64_t first, int64_t count, float* out);

}  // namespace headzip
