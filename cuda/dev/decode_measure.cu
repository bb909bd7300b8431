// Rates of the kernels of a decoding step, beside the rate of a copy: they cannot be faster than the bytes come.
#include <cmath>
#include <cstdio>

#include "../decode/gemv.cuh"
#include "../gemm/gemm.h"
#include "rig.h"

namespace headzip::cuda::dev {
namespace {

double copy_rate() {
  const size_t bytes = size_t{1} << 30;
  const Array<std::byte> from(bytes), to(bytes);
  const double ms = milliseconds(9, [&] { MUST(cudaMemcpyAsync(to.get(), from.get(), bytes, cudaMemcpyDeviceToDevice)); });
  std::printf("decode     copy: %.2f TB/s, reads and writes counted\n", 2.0 * bytes / ms / 1e9);
  return 2.0 * bytes / ms;
}

// Layers of 1 GiB of keys in all, so that no cache helps.
void measure_attention(const char* what, int group, int kv_heads, int dim, const std::vector<int32_t>& lengths, double copy) {
  int64_t keys = 0;
  for (const int32_t n : lengths) keys += n;
  const int64_t each = keys * dim * 2;
  const int layers = static_cast<int>(std::max<int64_t>(1, (int64_t{1} << 30) / (2 * each)));
  const Array<bf16> memory(static_cast<size_t>(layers) * 2 * keys * dim), tail(static_cast<size_t>(kv_heads) * 2 * 256 * dim);
  fill_normal(memory.get(), memory.count(), 1);
  fill_normal(tail.get(), tail.count(), 2);
  std::vector<std::unique_ptr<Array<HeadKv>>> tables;
  bf16* at = memory.get();
  for (int l = 0; l < layers; ++l) {
    std::vector<HeadKv> heads;
    for (const int32_t n : lengths) {
      heads.push_back({at, at + static_cast<int64_t>(n) * dim});
      at += static_cast<int64_t>(n) * 2 * dim;
    }
    tables.push_back(std::make_unique<Array<HeadKv>>(heads));
  }
  std::vector<HeadKv> tails;
  for (int h = 0; h < kv_heads; ++h) tails.push_back({tail.get() + h * 2 * 256 * dim, tail.get() + (h * 2 + 1) * 256 * dim});
  const Array<HeadKv> tail_table(tails);
  const Array<int32_t> device_lengths(lengths);
  const int width = group * kv_heads * dim, position = 200000;
  const Array<bf16> q(width), out(width);
  fill_normal(q.get(), q.count(), 3);
  int sm_count = 0;
  MUST(cudaDeviceGetAttribute(&sm_count, cudaDevAttrMultiProcessorCount, 0));
  const int blocks_per_sm = decode_blocks_per_sm(dim),
            chunk = decode_chunk(lengths.data(), kv_heads, sm_count * blocks_per_sm - kv_heads);
  DecodeLaunch launch{
      {group * kv_heads, kv_heads, dim, 1 / std::sqrt(static_cast<float>(dim)), 1, 0}, width, nullptr, nullptr, 1, {}};
  launch.params[0] = {q.get(),
                      out.get(),
                      1,
                      position,
                      2,
                      {{nullptr, nullptr, device_lengths.get(), nullptr, nullptr, 0, 0, position - 101, 0, 0},
                       {tail_table.get(), nullptr, nullptr, nullptr, nullptr, 0, 101, position - 100, 0, 0}},
                      {{chunk, decode_splits(lengths.data(), kv_heads, chunk)}, {256, kv_heads}}};
  const Array<float> scratch(decode_scratch(launch) / sizeof(float));
  launch.scratch = scratch.get();
  const double ms = milliseconds(9, [&] {
    for (const auto& table : tables) {
      launch.params[0].segment[0].heads = table->get();
      MUST(decode_attention(launch, nullptr));
    }
  }) / layers;
  const double bytes = 2.0 * each + 404.0 * kv_heads * dim;
  std::printf(
      "decode     attention %-22s %2d/%d x %3d, %7d keys, %d blocks an SM, splits of %d: %.1f us %.2f TB/s, %.0f%% of the copy rate\n",
      what, group * kv_heads, kv_heads, dim, static_cast<int>(keys), blocks_per_sm, chunk, ms * 1e3, bytes / ms / 1e9,
      bytes / ms / copy * 100);
  std::fflush(stdout);
}

template <typename F>
void measure_gemv(const char* what, int rows, int in, int out, int copies, double copy, F&& launch) {
  const double ms = milliseconds(9,
                                 [&] {
    for (int i = 0; i < copies; ++i) launch(i);
  }) / copies,
               bytes = 2.0 * in * out;
  std::printf("decode     gemv    %-16s %d x %5d -> %6d: %.1f us %.2f TB/s, %.0f%% of the copy rate\n", what, rows, in, out,
              ms * 1e3, bytes / ms / 1e9, bytes / ms / copy * 100);
}

void measure_gemvs(int in, int out, double copy) {
  const auto each = static_cast<size_t>(in) * out;
  const int copies = static_cast<int>(std::max<size_t>(1, (size_t{1} << 30) / (2 * each)));
  const Array<bf16> w(each * copies), x(8 * static_cast<size_t>(in));
  const Array<float> y(8 * static_cast<size_t>(out));
  const Array<std::byte> workspace(size_t{64} << 20);
  Gemm gemm(workspace.get(), workspace.count());
  fill_normal(w.get(), w.count(), 1);
  fill_normal(x.get(), x.count(), 2);
  const auto params = [&](int rows, int i) {
    Gemv g{x.get(), rows, in, 1, {}, Gate::kNone};
    g.output[0] = {w.get() + i * each, nullptr, {y.get(), true}, out, false};
    return g;
  };
  for (const int rows : {1, 2, 4, 8})
    measure_gemv("few rows", rows, in, out, copies, copy, [&](int i) { MUST(gemv(params(rows, i), nullptr)); });
  // Other ways to cut it, to choose from.
  measure_gemv("1 out, 2 ahead", 1, in, out, copies, copy,
               [&](int i) { MUST((launch_gemv<1, 1, 2, false>(params(1, i), nullptr))); });
  measure_gemv("1 out, 8 ahead", 1, in, out, copies, copy,
               [&](int i) { MUST((launch_gemv<1, 1, 8, false>(params(1, i), nullptr))); });
  measure_gemv("2 outs, 4 ahead", 1, in, out, copies, copy,
               [&](int i) { MUST((launch_gemv<1, 2, 4, false>(params(1, i), nullptr))); });
  measure_gemv("4 outs, 2 ahead", 1, in, out, copies, copy,
               [&](int i) { MUST((launch_gemv<1, 4, 2, false>(params(1, i), nullptr))); });
  for (const int rows : {1, 8})
    measure_gemv("cuBLASLt", rows, in, out, copies, copy,
                 [&](int i) { gemm.run({x.get(), w.get() + i * each, nullptr, {y.get(), true}, rows, out, in}, nullptr); });
  std::fflush(stdout);
}

void measure_gate(double copy) {
  constexpr int kIn = 3584, kOut = 18944, kCopies = 4;
  const Array<bf16> w(size_t{2} * kIn * kOut * kCopies), x(kIn), y(kOut);
  fill_normal(w.get(), w.count(), 1);
  fill_normal(x.get(), x.count(), 2);
  measure_gemv("gate and up", 1, kIn, 2 * kOut, kCopies, copy, [&](int i) {
    Gemv g{x.get(), 1, kIn, 2, {}, Gate::kSilu};
    for (int j = 0; j < 2; ++j)
      g.output[j] = {w.get() + (size_t{2} * i + j) * kIn * kOut, nullptr, {y.get(), false}, kOut, false};
    MUST(gemv(g, nullptr));
  });
}

void measure_small() {
  constexpr int kHidden = 3584, kVocab = 152064;
  const Array<float> x(kHidden), logits(kVocab);
  const Array<bf16> weight(kHidden), y(kHidden);
  const Array<uint64_t> key(1);
  const Array<int32_t> flag(1);
  fill_normal(weight.get(), weight.count(), 1);
  constexpr int kTimes = 50;
  const auto tell = [](const char* what, double ms) { std::printf("decode     %-10s %.2f us\n", what, ms * 1e3 / kTimes); };
  tell("rms_norm", milliseconds(9, [&] {
    for (int i = 0; i < kTimes; ++i)
      MUST(rms_norm({x.get(), true}, weight.get(), 1e-6f, 0, false, 1, kHidden, {y.get(), false}, flag.get(), nullptr));
  }));
  tell("argmax", milliseconds(9, [&] {
    for (int i = 0; i < kTimes; ++i) MUST(argmax(logits.get(), 1, kVocab, key.get(), nullptr));
  }));
}

}  // namespace

void measure_decode() {
  const double copy = copy_rate();
  measure_attention("all heads", 7, 4, 128, {124030, 124030, 124030, 124030}, copy);
  measure_attention("two of four heads", 7, 4, 128, {124030, 30, 30, 124030}, copy);
  measure_attention("one of four heads", 7, 4, 128, {30, 124030, 30, 30}, copy);
  measure_attention("none", 7, 4, 128, {30, 30, 30, 30}, copy);
  measure_attention("32K, all heads", 7, 4, 128, {32030, 32030, 32030, 32030}, copy);
  measure_attention("all heads", 4, 8, 128, std::vector<int32_t>(8, 124030), copy);
  measure_attention("all heads", 4, 8, 64, std::vector<int32_t>(8, 124030), copy);
  measure_attention("all heads", 2, 8, 256, std::vector<int32_t>(8, 62030), copy);
  for (const auto& [in, out] : {std::pair{3584, 3584}, {3584, 4608}, {18944, 3584}, {3584, 18944}, {3584, 152064}})
    measure_gemvs(in, out, copy);
  measure_gate(copy);
  measure_small();
}

}  // namespace headzip::cuda::dev
