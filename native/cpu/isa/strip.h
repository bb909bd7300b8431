// Strips: how the rows of a GEMM's A operand are packed.
#pragma once
#include "vec.h"

namespace headzip::cpu {
namespace {

// Four elements, by number, of two vectors of four.
#ifdef __clang__
#define HZ_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define HZ_PICK(a, b, ...) __builtin_shuffle(a, b, vi4{__VA_ARGS__})
#endif
typedef float vf4 __attribute__((vector_size(16)));
typedef int32_t vi4 __attribute__((vector_size(16)));

// Rows row(0) .. row(height - 1) of `depth` elements -> a strip (depth, height), four by four where that is possible.
template <typename Row>
HZ_INLINE void pack_strip(int64_t height, int64_t depth, float* out, Row&& row) {
  int64_t i = 0;
  for (; i + 4 <= height; i += 4) {
    const float* from[4] = {row(i), row(i + 1), row(i + 2), row(i + 3)};
    int64_t p = 0;
    for (; p + 4 <= depth; p += 4) {
      vf4 x[4];
      for (int k = 0; k < 4; ++k) memcpy(&x[k], from[k] + p, sizeof(vf4));
      const vf4 a = HZ_PICK(x[0], x[1], 0, 4, 1, 5), b = HZ_PICK(x[0], x[1], 2, 6, 3, 7);
      const vf4 c = HZ_PICK(x[2], x[3], 0, 4, 1, 5), d = HZ_PICK(x[2], x[3], 2, 6, 3, 7);
      const vf4 y[4] = {HZ_PICK(a, c, 0, 1, 4, 5), HZ_PICK(a, c, 2, 3, 6, 7), HZ_PICK(b, d, 0, 1, 4, 5),
                        HZ_PICK(b, d, 2, 3, 6, 7)};
      for (int k = 0; k < 4; ++k) memcpy(out + (p + k) * height + i, &y[k], sizeof(vf4));
    }
    for (; p < depth; ++p)
      for (int k = 0; k < 4; ++k) out[p * height + i + k] = from[k][p];
  }
  for (; i < height; ++i) {
    const float* from = row(i);
    for (int64_t p = 0; p < depth; ++p) out[p * height + i] = from[p];
  }
}

}  // namespace
}  // namespace headzip::cpu
