// Quantised blocks dequantised, packed into panels and multiplied with a handful of rows, whatever their layout.
#pragma once
#include "block_layouts.h"

namespace headzip::cpu {
namespace {

template <Stored S>
void dequantize_blocks_as(const uint8_t* in, int64_t count, float* out) {
  using L = Layout<S>;
  for (int64_t c = 0; c < count; c += L::kElements, in += L::kBytes)
    L::dequantize(in, [out, c](int i, vf v) HZ_INLINE_LAMBDA { store(out + c + i, v); });
}

// Panels of 16 rows, each (depth, 16); dequantize_row(row, from, count, out) dequantises 256 elements at a time, which are transposed.
template <typename DequantizeRow>
HZ_INLINE void pack_transposed(int64_t rows, int64_t depth, float* out, DequantizeRow&& dequantize_row) {
  constexpr int64_t kRun = 256;
  alignas(64) float wide[kPanel][kRun];
  for (int64_t r = 0; r < rows; r += kPanel) {
    const int64_t height = rows - r < kPanel ? rows - r : kPanel;
    if (height < kPanel) memset(wide, 0, sizeof wide);
    for (int64_t from = 0; from < depth; from += kRun) {
      const int64_t run = depth - from < kRun ? depth - from : kRun;
      for (int64_t j = 0; j < height; ++j) dequantize_row(r + j, from, run, wide[j]);
      for (int64_t p = 0; p < run; ++p, out += kPanel)
        for (int64_t j = 0; j < kPanel; ++j) out[j] = wide[j][p];
    }
  }
}

template <Stored S>
void pack_block_panels_as(const uint8_t* w, int64_t cols, int64_t rows, int64_t depth, float* out) {
  using L = Layout<S>;
  const int64_t row_bytes = cols / L::kElements * L::kBytes;
  pack_transposed(rows, depth, out, [w, row_bytes](int64_t row, int64_t from, int64_t count, float* wide) HZ_INLINE_LAMBDA {
    dequantize_blocks_as<S>(w + row * row_bytes + from / L::kElements * L::kBytes, count, wide);
  });
}

// Reads each block once for M rows of x; four sums a row keep the multiply-adds from waiting on one another.
template <Stored S, int M>
void few_rows_of_blocks_as(const uint8_t* w, int64_t cols, int64_t rows, const float* x, int64_t x_stride, float* y,
                           int64_t y_stride, bool add) {
  using L = Layout<S>;
  for (int64_t r = 0; r < rows; ++r) {
    vf acc[M][4] = {};
    const float* at = x;
    for (int64_t c = 0; c < cols; c += L::kElements, w += L::kBytes, at += L::kElements)
      L::dequantize(w, [&acc, at, x_stride](int i, vf v) HZ_INLINE_LAMBDA {
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) acc[m][i / W % 4] += v * load(at + m * x_stride + i);
      });
    for (int m = 0; m < M; ++m) {
      const float dot = sum((acc[m][0] + acc[m][1]) + (acc[m][2] + acc[m][3]));
      float& to = y[m * y_stride + r];
      to = add ? to + dot : dot;
    }
  }
}

template <Stored S>
void few_rows_of_blocks_in(const uint8_t* w, int64_t cols, int64_t rows, const float* x, int64_t x_stride, int64_t x_rows,
                           float* y, int64_t y_stride, bool add) {
  for (; x_rows > 0; x_rows -= 4, x += 4 * x_stride, y += 4 * y_stride) {
    if (x_rows >= 4) few_rows_of_blocks_as<S, 4>(w, cols, rows, x, x_stride, y, y_stride, add);
    else if (x_rows == 3) few_rows_of_blocks_as<S, 3>(w, cols, rows, x, x_stride, y, y_stride, add);
    else if (x_rows == 2) few_rows_of_blocks_as<S, 2>(w, cols, rows, x, x_stride, y, y_stride, add);
    else few_rows_of_blocks_as<S, 1>(w, cols, rows, x, x_stride, y, y_stride, add);
  }
}

// Calls fn with the layout of `type` as a compile-time constant.
template <Stored S>
struct Tag {
  static constexpr Stored value = S;
};
template <typename Fn>
HZ_INLINE void with_layout(Stored type, Fn&& fn) {
  switch (type) {
    case Stored::kQ8_0: return fn(Tag<Stored::kQ8_0>{});
    case Stored::kQ4_0: return fn(Tag<Stored::kQ4_0>{});
    case Stored::kQ4_1: return fn(Tag<Stored::kQ4_1>{});
    case Stored::kQ5_0: return fn(Tag<Stored::kQ5_0>{});
    case Stored::kQ5_1: return fn(Tag<Stored::kQ5_1>{});
    case Stored::kQ4_K: return fn(Tag<Stored::kQ4_K>{});
    case Stored::kQ5_K: return fn(Tag<Stored::kQ5_K>{});
    case Stored::kQ6_K: return fn(Tag<Stored::kQ6_K>{});
    default: return;
  }
}

void dequantize_blocks(Stored type, const void* in, int64_t count, float* out) {
  with_layout(type, [&](auto s) { dequantize_blocks_as<s.value>(static_cast<const uint8_t*>(in), count, out); });
}

void pack_block_panels(Stored type, const void* w, int64_t cols, int64_t rows, int64_t depth, float* out) {
  with_layout(type, [&](auto s) { pack_block_panels_as<s.value>(static_cast<const uint8_t*>(w), cols, rows, depth, out); });
}

void few_rows_of_blocks(Stored type, const void* w, int64_t cols, int64_t rows, const float* x, int64_t x_stride,
                        int64_t x_rows, float* y, int64_t y_stride, bool add) {
  with_layout(type, [&](auto s) {
    few_rows_of_blocks_in<s.value>(static_cast<const uint8_t*>(w), cols, rows, x, x_stride, x_rows, y, y_stride, add);
  });
}

}  // namespace
}  // namespace headzip::cpu
