// Linear layers: packing, the blocked GEMM, and GEMV for a handful of rows.
#pragma once
#include "fp8.h"
#include "micro.h"
#include "strip.h"

namespace headzip::cpu {
namespace {

// x (rows, stride) -> strips of kStrip rows, each (depth, height of the strip)
void pack_rows(const float* x, int64_t stride, int64_t rows, int64_t depth, float* out) {
  for (int64_t r = 0; r < rows; r += kStrip) {
    const int64_t height = rows - r < kStrip ? rows - r : kStrip;
    pack_strip(height, depth, out, [&](int64_t i) { return x + (r + i) * stride; });
    out += depth * height;
  }
}

// A panel is a strip of 16 rows of the weight, dequantised a part at a time.
template <Stored S>
void pack_panels_as(const char* w, int64_t row_bytes, int64_t rows, int64_t depth, float* out) {
  constexpr int64_t kPart = 64;
  float wide[kPanel][kPart] = {};  // rows that a last panel lacks stay zero
  for (int64_t r = 0; r < rows; r += kPanel, out += depth * kPanel) {
    const int64_t width = rows - r < kPanel ? rows - r : kPanel;
    if (width < kPanel) memset(wide, 0, sizeof wide);
    for (int64_t p = 0; p < depth; p += kPart) {
      const int64_t part = depth - p < kPart ? depth - p : kPart;
      for (int64_t j = 0; j < width; ++j) {
        const char* from = w + (r + j) * row_bytes + p * stored_bytes(S);
        int64_t i = 0;
        for (; i + W <= part; i += W) store(wide[j] + i, load_as<S>(from + i * stored_bytes(S)));
        for (; i < part; ++i) wide[j][i] = upcast_one(S, from + i * stored_bytes(S));
      }
      pack_strip(kPanel, part, out + p * kPanel, [&](int64_t j) { return wide[j]; });
    }
  }
}

// `rows` rows of a weight (its columns `cols` apart), `depth` elements of each -> panels of 16 rows, each (depth, 16)
void pack_panels(Stored type, const void* w, const Scales& scales, int64_t cols, int64_t rows, int64_t depth, float* out) {
  if (type == Stored::kF8_E4M3) return pack_fp8_panels(static_cast<const uint8_t*>(w), scales, cols, rows, depth, out);
  if (in_blocks(type)) return pack_block_panels(type, w, cols, rows, depth, out);
  const auto* from = static_cast<const char*>(w);
  const int64_t row_bytes = cols * stored_bytes(type);
  if (type == Stored::kF32) return pack_panels_as<Stored::kF32>(from, row_bytes, rows, depth, out);
  if (type == Stored::kF16) return pack_panels_as<Stored::kF16>(from, row_bytes, rows, depth, out);
  return pack_panels_as<Stored::kBF16>(from, row_bytes, rows, depth, out);
}

// c (rows, columns) (+)= strips of a times panels of b; columns need not be a multiple of 16.
void gemm(const float* a, int64_t rows, const float* b, int64_t columns, int64_t depth, float* c, int64_t ldc, bool add) {
  const int64_t whole = columns / kPanel, rest = columns % kPanel;
  for (int64_t r = 0; r < rows; r += kStrip, a += depth * kStrip) {
    const int64_t height = rows - r < kStrip ? rows - r : kStrip;
    float* to = c + r * ldc;
    strip_gemm<0>(height, whole, depth, a, b, kPanel, depth * kPanel, to, ldc, add);
    if (rest == 0) continue;
    float edge[kStrip * kPanel];
    strip_gemm<0>(height, 1, depth, a, b + whole * depth * kPanel, kPanel, 0, edge, kPanel, false);
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < rest; ++j) {
        float& y = to[i * ldc + whole * kPanel + j];
        y = edge[i * kPanel + j] + (add ? y : 0.0f);
      }
  }
}

template <Stored S, int M>
void few_rows_as(const char* w, int64_t cols, int64_t rows, const float* x, int64_t x_stride, float* y, int64_t y_stride,
                 bool add) {
  for (int64_t r = 0; r < rows; ++r) {
    const char* row = w + r * cols * stored_bytes(S);
    vf acc[M][2] = {};
    int64_t c = 0;
    for (; c + 2 * W <= cols; c += 2 * W)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const vf v = load_as<S>(row + (c + h * W) * stored_bytes(S));
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) acc[m][h] += v * load(x + m * x_stride + c + h * W);
      }
    for (int m = 0; m < M; ++m) {
      float dot = sum(acc[m][0] + acc[m][1]);
      for (int64_t p = c; p < cols; ++p) dot += upcast_one(S, row + p * stored_bytes(S)) * x[m * x_stride + p];
      float& to = y[m * y_stride + r];
      to = add ? to + dot : dot;
    }
  }
}

template <Stored S>
void few_rows_of(const char* w, int64_t cols, int64_t rows, const float* x, int64_t x_stride, int64_t x_rows, float* y,
                 int64_t y_stride, bool add) {
  for (; x_rows > 0; x_rows -= 4, x += 4 * x_stride, y += 4 * y_stride) {
    if (x_rows >= 4) few_rows_as<S, 4>(w, cols, rows, x, x_stride, y, y_stride, add);
    else if (x_rows == 3) few_rows_as<S, 3>(w, cols, rows, x, x_stride, y, y_stride, add);
    else if (x_rows == 2) few_rows_as<S, 2>(w, cols, rows, x, x_stride, y, y_stride, add);
    else few_rows_as<S, 1>(w, cols, rows, x, x_stride, y, y_stride, add);
  }
}

void few_rows(Stored type, const void* w, const Scales& scales, int64_t cols, int64_t rows, const float* x, int64_t x_stride,
              int64_t x_rows, float* y, int64_t y_stride, bool add) {
  if (type == Stored::kF8_E4M3)
    return few_rows_of_fp8(static_cast<const uint8_t*>(w), scales, cols, rows, x, x_stride, x_rows, y, y_stride, add);
  if (in_blocks(type)) return few_rows_of_blocks(type, w, cols, rows, x, x_stride, x_rows, y, y_stride, add);
  const auto* from = static_cast<const char*>(w);
  if (type == Stored::kF32) few_rows_of<Stored::kF32>(from, cols, rows, x, x_stride, x_rows, y, y_stride, add);
  else if (type == Stored::kF16) few_rows_of<Stored::kF16>(from, cols, rows, x, x_stride, x_rows, y, y_stride, add);
  else few_rows_of<Stored::kBF16>(from, cols, rows, x, x_stride, x_rows, y, y_stride, add);
}

}  // namespace
}  // namespace headzip::cpu
