// What KVzip+ weighs scores by: how much of the stream an entry's value becomes, and how long the rows are that look.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "backend.h"

namespace headzip::cpu {

namespace {

constexpr int64_t kWholeBlocks = 256;  // elements: a multiple of the block of every stored type
constexpr int64_t kTileFloats = int64_t{1} << 20;

double squares(const float* x, int64_t width) {
  double sum = 0;
  for (int64_t c = 0; c < width; ++c) sum += static_cast<double>(x[c]) * x[c];
  return sum;
}

float half_log2(double square) { return static_cast<float>(0.5 * std::log2(square)); }

}  // namespace

// One GEMM a query head, tile by tile: values (entries, head_dim) times the head's columns of `o` (hidden, head_dim).
bool CpuBackend::value_norms(const Weight& o, const KvLayer& kv, int64_t begin, int64_t count, const ScoreBuffer& out) {
  const auto& layer = static_cast<const CpuKvLayer&>(kv);
  const int64_t heads = out.kv_heads, group = heads / layer.heads(), dim = o.cols / heads, stride = layer.value_stride();
  // A head's columns may begin within a block of the stored type: whole blocks around the group's are dequantised.
  const int64_t width = group * dim;
  const auto down = [](int64_t n) { return n / kWholeBlocks * kWholeBlocks; };
  std::vector<float> wide(static_cast<size_t>(threads_ * std::min(o.cols, width + 2 * kWholeBlocks)));
  // (group, hidden, stride): as wide as values lie, with zeros past head_dim
  Floats columns(meter_, static_cast<size_t>(group * o.rows * stride), true);
  const int64_t tile = std::clamp<int64_t>(kTileFloats / o.rows, 1, count);
  const OwnedRows added = rows(tile, o.rows);
  std::atomic<bool> good{true};

  for (int64_t g = 0; g < layer.heads(); ++g) {
    const int64_t from = down(g * width), to = std::min(o.cols, down(g * width + width - 1) + kWholeBlocks);
    parallel(o.rows, [&](int64_t r, int thread) {
      float* row = wide.data() + thread * static_cast<int64_t>(wide.size()) / threads_;
      dequantize(k_, o, r * o.cols + from, to - from, row);
      for (int64_t h = 0; h < group; ++h)
        std::copy_n(row + g * width - from + h * dim, dim, columns.data() + (h * o.rows + r) * stride);
    });
    for (int64_t h = 0; h < group; ++h) {
      const Weight head{reinterpret_cast<const std::byte*>(columns.data() + h * o.rows * stride), StoredType::kF32, o.rows,
                        stride};
      float* norms = out.data + (g * group + h) * out.positions;
      for (int64_t at = begin; at < begin + count; at += tile) {
        const int64_t entries = std::min(tile, begin + count - at);
        float* values = layer.view(g).v + at * stride;
        const Rows x{reinterpret_cast<std::byte*>(values), entries, stride, Element::kF32};
        const Rows projected = added.reshape(entries, o.rows);
        const LinearParams params{&head, nullptr, projected};
        // Always packed: few rows would be summed in another order, and shards of a context must agree with the whole.
        packed_linear(x, {&params, 1});
        parallel(entries, [&](int64_t i, int) {
          const double square = squares(floats(projected, i), o.rows);
          if (!std::isfinite(square)) good = false;
          norms[at + i] = half_log2(square);
        });
      }
    }
  }
  return good;
}

void CpuBackend::row_norms(Rows x, const ScoreBuffer& out) {
  each_row(x.rows, x.width, [&](int64_t i) {
    const double square = squares(floats(x, i), x.width);
    // A row of zeros has no direction to be changed: it is left out instead of weighing infinitely.
    out.data[i] = square > 0 ? half_log2(square) : std::numeric_limits<float>::infinity();
  });
}

}  // namespace headzip::cpu
