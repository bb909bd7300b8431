// Rates of the kernels on the shapes that scoring meets.
#include <cmath>
#include <cstdio>

#include "../gemm/gemm.h"
#include "rig.h"

namespace headzip::cuda::dev {
namespace {

AttentionShape shape_of(int heads, int kv_heads, int head_dim) {
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  return {heads, kv_heads, head_dim, scale, scale, 0, 0};
}

void measure_attention(const char* what, int heads, int kv_heads, int head_dim, int queries, int keys, bool causal) {
  AttentionShape shape = shape_of(heads, kv_heads, head_dim);
  std::printf("attention  %-24s %2d/%d x %3d, %6d x %6d:", what, heads, kv_heads, head_dim, queries, keys);
  for (const Path path : {Path::kPortable, Path::kHopper, Path::kHopperPairs}) {
    const Cache cache(kv_heads, head_dim, keys, cluster_of(path), 1);
    Work work(shape, queries, causal ? keys - queries : keys, {{&cache, 0, keys, 0, false, false}}, 2);
    const double pairs = causal ? queries * (keys - queries / 2.0) : static_cast<double>(queries) * keys;
    for (const int by_kv_head : {0, 1, 0, 1}) {
      shape.by_kv_head = by_kv_head;
      const Launch launch(path, shape, {&work});
      const double ms = milliseconds(path == Path::kPortable ? 2 : 9, [&] { launch.attention(); });
      std::printf("  %s%s %.2f ms %.0f", name(path), by_kv_head ? "'" : "", ms, 4.0 * heads * head_dim * pairs / ms / 1e9);
      if (path == Path::kPortable) break;
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

// `inputs` reconstruction inputs of one layer, as the sweep batches them.
void measure_repeat(int heads, int kv_heads, int head_dim, int context, int inputs, bool full) {
  AttentionShape shape = shape_of(heads, kv_heads, head_dim);
  constexpr int kChunk = 2000, kQueries = 2032, kPrefix = 30;
  for (const Path path : {Path::kPortable, Path::kHopper, Path::kHopperPairs}) {
    const Cache cache(kv_heads, head_dim, context, cluster_of(path), 1), own(kv_heads, head_dim, kQueries, cluster_of(path), 2);
    std::vector<std::unique_ptr<Work>> works;
    std::vector<Work*> list;
    for (int i = 0; i < inputs; ++i) {
      const int start = kPrefix + i * kChunk;
      std::vector<Range> ranges{{&cache, 0, kPrefix, 0, true, false},
                                {&cache, start, start + kChunk, start, true, true},
                                {&own, 0, kQueries, context, true, false}};
      if (full) ranges.push_back({&cache, kPrefix + kChunk, context, kPrefix + kChunk, false, false});
      works.push_back(std::make_unique<Work>(shape, kQueries, context, ranges, 3 + i));
      list.push_back(works.back().get());
    }
    shape.by_kv_head = path != Path::kPortable;
    const Launch launch(path, shape, list, path != Path::kPortable);
    const double own_keys = kQueries / 2.0, keys = kPrefix + kChunk + own_keys + (full ? context - kPrefix - kChunk : 0);
    const double attend = milliseconds(5, [&] { launch.attention(); }), score = milliseconds(5, [&] { launch.score(); });
    const double unit = 2.0 * heads * head_dim * kQueries * inputs / 1e9;
    std::printf("repeat %d inputs, %d/%d x %d, %s: %s attention %.2f ms %.0f TFLOP/s, score %.2f ms %.0f TFLOP/s\n", inputs,
                heads, kv_heads, head_dim, full ? "whole context" : "own chunk", name(path), attend, 2 * unit * keys / attend,
                score, unit * (path == Path::kPortable ? kPrefix + 2 * kChunk + own_keys : kChunk) / score);
    std::fflush(stdout);
  }
}

void measure_gemms() {
  const Array<std::byte> workspace(size_t{64} << 20);
  Gemm gemm(workspace.get(), workspace.count());
  if (!gemm.reason().empty()) {
    std::printf("gemm: %s\n", gemm.reason().c_str());
    return;
  }
  const int sizes[][2] = {{3584, 3584}, {512, 3584},  {18944, 3584}, {3584, 18944},
                          {4096, 4096}, {1024, 4096}, {14336, 4096}, {4096, 14336}};
  for (const int rows : {2032, 16256})
    for (const auto& size : sizes) {
      const int out = size[0], in = size[1];
      const Array<bf16> x(static_cast<size_t>(rows) * in), w(static_cast<size_t>(out) * in), y(static_cast<size_t>(rows) * out);
      fill_normal(x.get(), x.count(), 1);
      fill_normal(w.get(), w.count(), 2);
      std::string why;
      const double ms =
          milliseconds(7, [&] { why = gemm.run({x.get(), w.get(), nullptr, {y.get(), false}, rows, out, in}, nullptr); });
      std::printf("gemm       %5d x %5d x %5d: %.3f ms %.0f TFLOP/s %s\n", rows, out, in, ms, 2.0 * rows * out * in / ms / 1e9,
                  why.c_str());
    }
}

void measure_elementwise() {
  constexpr int kRows = 16384, kHidden = 3584, kInner = 18944, kHeads = 28, kDim = 128;
  const Array<bf16> x(size_t{kRows} * kHidden), y(size_t{kRows} * kHidden), weight(kHidden), gate(size_t{kRows} * kInner),
      up(size_t{kRows} * kInner);
  const Array<float> inv_freq(std::vector<float>(kDim / 2, 0.01f));
  const Array<int32_t> flag(std::vector<int32_t>{0});
  for (const auto* a : {&x, &weight, &gate, &up}) fill_normal(a->get(), a->count(), 5);
  const auto tell = [](const char* what, double bytes, double ms) {
    std::printf("elementwise %-12s %.3f ms %.2f TB/s\n", what, ms, bytes / ms / 1e9);
  };
  tell("copy", 4.0 * x.count(),
       milliseconds(7, [&] { MUST(cudaMemcpyAsync(y.get(), x.get(), x.count() * 2, cudaMemcpyDeviceToDevice)); }));
  tell("rms_norm", 4.0 * x.count(), milliseconds(7, [&] {
    MUST(rms_norm({x.get(), false}, weight.get(), 1e-6f, 0, false, kRows, kHidden, {y.get(), false}, flag.get(), nullptr));
  }));
  tell("rope", 4.0 * x.count(), milliseconds(7, [&] {
    MUST(rope(y.get(), kRows, kHeads, kDim, kDim / 2, 100000, inv_freq.get(), 1, false, flag.get(), nullptr));
  }));
  tell("silu_mul", 6.0 * gate.count(),
       milliseconds(7, [&] { MUST(silu_mul(gate.get(), up.get(), static_cast<int64_t>(gate.count()), nullptr)); }));
}

}  // namespace

void measure_kernels() {
  measure_attention("repeat over 124K", 28, 4, 128, 2032, 124032, false);
  measure_attention("causal 16K", 28, 4, 128, 16000, 16000, true);
  measure_attention("16K after 108K", 28, 4, 128, 16000, 124000, true);
  measure_attention("causal 32K", 32, 8, 128, 32000, 32000, true);
  measure_attention("repeat over 124K", 32, 8, 64, 2032, 124032, false);
  measure_attention("causal 16K", 32, 8, 64, 16000, 16000, true);
  measure_attention("repeat over 124K", 16, 8, 256, 2032, 124032, false);
  measure_attention("causal 16K", 16, 8, 256, 16000, 16000, true);
  measure_repeat(28, 4, 128, 124000, 8, true);
  measure_repeat(28, 4, 128, 124000, 8, false);
  measure_repeat(32, 8, 128, 124000, 8, false);
  measure_gemms();
  measure_elementwise();
}

}  // namespace headzip::cuda::dev
