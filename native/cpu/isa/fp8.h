// FP8 as PyTorch's float8_e4m3fn has it: a sign, four bits of exponent with bias 7, three of mantissa; subnormals, no
// infinities, 448 the largest, and NaN where all bits but the sign are set. Scales lie in a tensor of their own.
//
// Every dequantised value is the product of number and scale, rounded once.
#pragma once
#include "blocks.h"

namespace headzip::cpu {
namespace {

// `bytes` with their sign extended.
HZ_INLINE vf upcast_e4m3(vi bytes) {
  const vi magnitude = bytes & 0x7f;
  // All bits set are a NaN of fp32 too. The others go where fp32 has exponent and mantissa; 2^120 moves the exponent's
  // bias from 7 to 127 and makes subnormals right.
  const vi moved = (vi)(magnitude == 0x7f) | (magnitude << 20) | (bytes & INT32_MIN);
  return (vf)moved * splat(0x1p120f);
}

HZ_INLINE float upcast_one_e4m3(uint8_t byte) { return at(upcast_e4m3(vi{} + static_cast<int8_t>(byte)), 0); }

// Calls part(first, count, scale) for the runs of `count` elements of a row that share a scale; the first of them is
// `from` columns after the element that `s` is seen from, and `row` rows below it.
template <typename Part>
HZ_INLINE void by_scale(const Scales& s, int64_t row, int64_t from, int64_t count, Part&& part) {
  if (s.data == nullptr) return part(0, count, 1.0f);
  const int64_t size = stored_bytes(s.type), block = (s.col + from) / s.block_cols;
  const auto* scale = static_cast<const char*>(s.data) + ((s.row + row) / s.block_rows * s.across + block) * size;
  int64_t end = (block + 1) * s.block_cols - (s.col + from);  // of the first block; the others are whole
  for (int64_t c = 0; c < count; c = end, end += s.block_cols, scale += size)
    part(c, (end < count ? end : count) - c, upcast_one(s.type, scale));
}

// `count` elements from `in`, which lies at (row, from) as by_scale has it.
HZ_INLINE void dequantize_fp8(const uint8_t* in, const Scales& scales, int64_t row, int64_t from, int64_t count, float* out) {
  by_scale(scales, row, from, count, [in, out](int64_t first, int64_t n, float scale) HZ_INLINE_LAMBDA {
    const int64_t end = first + n;
    int64_t c = first;
    for (; c + W <= end; c += W) store(out + c, upcast_e4m3(load_signed_bytes(in + c)) * splat(scale));
    for (; c < end; ++c) out[c] = upcast_one_e4m3(in[c]) * scale;
  });
}

void pack_fp8_panels(const uint8_t* w, const Scales& scales, int64_t cols, int64_t rows, int64_t depth, float* out) {
  pack_transposed(rows, depth, out, [w, &scales, cols](int64_t row, int64_t from, int64_t count, float* wide) HZ_INLINE_LAMBDA {
    dequantize_fp8(w + row * cols + from, scales, row, from, count, wide);
  });
}

// Reads each weight once for M rows of x; two sums a row keep the multiply-adds from waiting on one another.
template <int M>
void few_rows_of_fp8_as(const uint8_t* w, const Scales& scales, int64_t cols, int64_t rows, const float* x, int64_t x_stride,
                        float* y, int64_t y_stride, bool add) {
  for (int64_t r = 0; r < rows; ++r, w += cols) {
    vf acc[M][2] = {};
    float rest[M] = {};
    by_scale(scales, r, 0, cols, [&](int64_t first, int64_t count, float scale) HZ_INLINE_LAMBDA {
      const int64_t end = first + count;
      int64_t c = first;
      for (; c + 2 * W <= end; c += 2 * W)
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const vf v = upcast_e4m3(load_signed_bytes(w + c + h * W)) * splat(scale);
#pragma GCC unroll 4
          for (int m = 0; m < M; ++m) acc[m][h] += v * load(x + m * x_stride + c + h * W);
        }
      for (; c < end; ++c) {
        const float v = upcast_one_e4m3(w[c]) * scale;
        for (int m = 0; m < M; ++m) rest[m] += v * x[m * x_stride + c];
      }
    });
    for (int m = 0; m < M; ++m) {
      const float dot = sum(acc[m][0] + acc[m][1]) + rest[m];
      float& to = y[m * y_stride + r];
      to = add ? to + dot : dot;
    }
  }
}

void few_rows_of_fp8(const uint8_t* w, const Scales& scales, int64_t cols, int64_t rows, const float* x, int64_t x_stride,
                     int64_t x_rows, float* y, int64_t y_stride, bool add) {
  for (; x_rows > 0; x_rows -= 4, x += 4 * x_stride, y += 4 * y_stride) {
    if (x_rows >= 4) few_rows_of_fp8_as<4>(w, scales, cols, rows, x, x_stride, y, y_stride, add);
    else if (x_rows == 3) few_rows_of_fp8_as<3>(w, scales, cols, rows, x, x_stride, y, y_stride, add);
    else if (x_rows == 2) few_rows_of_fp8_as<2>(w, scales, cols, rows, x, x_stride, y, y_stride, add);
    else few_rows_of_fp8_as<1>(w, scales, cols, rows, x, x_stride, y, y_stride, add);
  }
}

}  // namespace
}  // namespace headzip::cpu
