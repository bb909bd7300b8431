#include "bench.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../backend.h"
#include "../cpu/backend.h"
#include "worker.h"

namespace headzip::addon {
namespace {

struct Row {
  std::string name;
  double seconds, flops;
};

// Best of several runs, each long enough for the clock.
template <typename F>
Row time(std::string name, double flops, F&& fn) {
  using Clock = std::chrono::steady_clock;
  fn();
  double best = 1e30;
  for (int run = 0; run < 5; ++run) {
    const auto from = Clock::now();
    fn();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - from).count());
  }
  return {std::move(name), best, flops};
}

void fill(std::vector<float>& v, std::mt19937& random) {
  std::normal_distribution<float> normal;
  for (float& x : v) x = normal(random);
}

Row peak() {
  const cpu::Kernels& k = cpu::kernels();
  auto& pool = cpu::ThreadPool::instance();
  std::vector<double> done(pool.size());
  const auto all = [&] {
    pool.run(pool.size(), 0, [&](int64_t task, int) {
      float values[14] = {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f, .9f, 1, 1.1f, 1.2f, .999f, .001f};
      done[task] = k.fma_peak(20'000'000, values);
    });
  };
  Row row = time("fused multiply-add peak", 0, all);
  for (const double d : done) row.flops += d;
  return row;
}

Row gemm(int64_t rows, int64_t columns, int64_t depth, StoredType type, std::mt19937& random) {
  cpu::CpuBackend backend(0);
  std::vector<float> w(static_cast<size_t>(columns * depth));
  fill(w, random);
  std::vector<uint16_t> half(w.size());
  for (size_t i = 0; i < w.size(); ++i) half[i] = static_cast<uint16_t>(reinterpret_cast<const uint32_t&>(w[i]) >> 16);
  const void* data = type == StoredType::kF32 ? static_cast<const void*>(w.data()) : half.data();
  const Weight weight{static_cast<const std::byte*>(data), type, columns, depth};
  const OwnedRows x = backend.rows(rows, depth), y = backend.rows(rows, columns);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < rows * depth; ++i) cpu::floats(x)[i] = normal(random);
  const LinearParams params{&weight, nullptr, y};
  const std::string name = "linear " + std::to_string(rows) + " x " + std::to_string(columns) + " x " + std::to_string(depth) +
                           (type == StoredType::kF32 ? " f32" : " bf16");
  return time(name, 2.0 * rows * columns * depth, [&] { backend.linear(x, {&params, 1}); });
}

Row attend(int64_t queries, int64_t keys, int64_t heads, int64_t kv_heads, int64_t dim, std::mt19937& random) {
  cpu::CpuBackend backend(0);
  AttentionSpec spec;
  spec.heads = heads;
  spec.kv_heads = kv_heads;
  spec.head_dim = dim;
  spec.scale = spec.score_scale();
  const OwnedRows k = backend.rows(keys, kv_heads * dim), v = backend.rows(keys, kv_heads * dim);
  const OwnedRows q = backend.rows(queries, heads * dim), out = backend.rows(queries, heads * dim);
  std::normal_distribution<float> normal;
  for (const OwnedRows* r : {&k, &v, &q})
    for (int64_t i = 0; i < r->rows * r->width; ++i) cpu::floats(*r)[i] = normal(random);
  const auto kv = backend.kv(kv_heads, dim, keys);
  backend.append(*kv, k, v);
  const KvSegment segment{kv.get(), 0, -1, 0};
  const AttentionParams params{q, keys, {&segment, 1}, out};
  const std::string name = "attention " + std::to_string(queries) + " x " + std::to_string(keys) + ", " +
                           std::to_string(heads) + "/" + std::to_string(kv_heads) + " heads of " + std::to_string(dim);
  return time(name, 4.0 * queries * keys * heads * dim, [&] { backend.attention(spec, {&params, 1}); });
}

}  // namespace

Napi::Value bench(const Napi::CallbackInfo& info) {
  auto rows = std::make_shared<std::vector<Row>>();
  const auto work = [rows] {
    std::mt19937 random(7);
    rows->push_back(peak());
    for (const StoredType type : {StoredType::kBF16, StoredType::kF32}) {
      rows->push_back(gemm(768, 3072, 1024, type, random));
      rows->push_back(gemm(768, 1024, 3072, type, random));
      rows->push_back(gemm(768, 512, 256, type, random));
      rows->push_back(gemm(1, 3072, 1024, type, random));
    }
    rows->push_back(attend(768, 6144, 8, 4, 64, random));
    rows->push_back(attend(768, 6144, 8, 2, 128, random));
    rows->push_back(attend(1, 6144, 8, 4, 64, random));
    rows->push_back(peak());
  };
  const auto finish = [rows](Napi::Env env) -> Napi::Value {
    Napi::Array out = Napi::Array::New(env, rows->size());
    for (uint32_t i = 0; i < rows->size(); ++i) {
      Napi::Object o = Napi::Object::New(env);
      o.Set("name", (*rows)[i].name);
      o.Set("seconds", (*rows)[i].seconds);
      o.Set("flops", (*rows)[i].flops);
      out.Set(i, o);
    }
    return out;
  };
  return start(info.Env(), std::make_shared<JobControl>(), work, finish).Get("promise");
}

}  // namespace headzip::addon
