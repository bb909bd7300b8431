#include "dequantize.h"

#include <algorithm>

#include "../cpu/stored.h"

namespace headzip {

void dequantize(const cpu::Kernels& kernels, const Weight& w, int64_t first, int64_t count, float* out) {
  if (w.scales.data == nullptr)
    return kernels.dequantize(cpu::stored(w.type), w.data + bytes_of(w.type, first), cpu::Scales{}, count, out);
  while (count > 0) {
    const int64_t row = first / w.cols, col = first % w.cols, part = std::min(count, w.cols - col);
    kernels.dequantize(cpu::stored(w.type), w.data + bytes_of(w.type, first), cpu::scales_at(w, row, col), part, out);
    first += part, count -= part, out += part;
  }
}

void dequantize(const Weight& w, int64_t first, int64_t count, float* out) {
  dequantize(cpu::widest_kernels(), w, first, count, out);
}

}  // namespace headzip
