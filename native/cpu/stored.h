// Weights as the kernels take them.
#pragma once
#include "../model.h"
#include "kernels.h"

namespace headzip::cpu {

inline Stored stored(StoredType t) { return static_cast<Stored>(t); }
static_assert(static_cast<int>(Stored::kQ6_K) == static_cast<int>(StoredType::kQ6_K));

// The scales of a weight, seen from its element (row, col).
inline Scales scales_at(const Weight& w, int64_t row, int64_t col) {
  const ScaleGrid& s = w.scales;
  return {s.data, stored(s.type), s.block_rows, s.block_cols, s.across, s.row + row, col};
}

// `count` elements of a weight in fp32, row by row; the first of them starts a block of its type.
inline void dequantize(const Kernels& k, const Weight& w, int64_t first, int64_t count, float* out) {
  if (w.scales.data == nullptr) return k.dequantize(stored(w.type), w.data + bytes_of(w.type, first), Scales{}, count, out);
  while (count > 0) {
    const int64_t row = first / w.cols, col = first % w.cols, part = count < w.cols - col ? count : w.cols - col;
    k.dequantize(stored(w.type), w.data + bytes_of(w.type, first), scales_at(w, row, col), part, out);
    first += part, count -= part, out += part;
  }
}

}  // namespace headzip::cpu
