#include "backend.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "../error.h"

namespace headzip::cpu {

CpuBackend::CpuBackend(int threads) : k_(kernels()), threads_(std::min(threads, ThreadPool::instance().size())) {
  if (threads_ <= 0) threads_ = ThreadPool::instance().size();
}

void CpuBackend::parallel(int64_t tasks, const std::function<void(int64_t, int)>& fn) {
  ThreadPool::instance().run(tasks, threads_, fn);
}

void CpuBackend::each_row(int64_t rows, int64_t width, const std::function<void(int64_t)>& fn) {
  constexpr int64_t kFloatsPerTask = 8192;
  const int64_t each = std::max<int64_t>(1, kFloatsPerTask / width);
  parallel((rows + each - 1) / each, [&](int64_t task, int) {
    for (int64_t i = task * each; i < std::min(rows, (task + 1) * each); ++i) fn(i);
  });
}

float* CpuBackend::scratch(Floats& buffer, int64_t floats) {
  if (buffer.bytes() < static_cast<size_t>(floats) * sizeof(float)) {
    buffer = Floats();  // give the old one back before asking for more
    buffer = Floats(meter_, static_cast<size_t>(floats), false);
  }
  return buffer.data();
}

OwnedRows CpuBackend::rows(int64_t count, int64_t width) {
  auto memory = std::make_unique<Floats>(meter_, static_cast<size_t>(count * width), false);
  auto* data = reinterpret_cast<std::byte*>(memory->data());
  OwnedRows out;
  static_cast<Rows&>(out) = Rows{data, count, width, Element::kF32};
  out.memory = std::move(memory);
  return out;
}

std::unique_ptr<KvLayer> CpuBackend::kv(int64_t kv_heads, int64_t head_dim, int64_t capacity) {
  return std::make_unique<CpuKvLayer>(meter_, kv_heads, head_dim, capacity);
}

ScoreBuffer CpuBackend::scores(int64_t kv_heads, int64_t positions) {
  auto memory = std::make_unique<Floats>(meter_, static_cast<size_t>(kv_heads * positions), true);
  float* data = memory->data();
  return {data, kv_heads, positions, std::move(memory)};
}

void CpuBackend::clear(const ScoreBuffer& s) { std::fill_n(s.data, s.kv_heads * s.positions, 0.0f); }

void CpuBackend::download(const ScoreBuffer& s, float* out) { std::copy_n(s.data, s.kv_heads * s.positions, out); }

int64_t CpuBackend::tile_rows(const ModelSpec& spec) const {
  // Enough rows that packing a weight is paid for; few enough that the widest buffers stay near 64 MiB.
  const Widths w = spec.widths();
  const int64_t width = 2 * w.mlp + 2 * (w.q + w.kv) + 2 * spec.hidden;
  // An expert sees a part of a tile only, so MoE models take four times the rows.
  const int64_t times = w.experts > 0 ? 4 : 1;
  return std::clamp<int64_t>(times * (int64_t{64} << 20) / (width * 4) / 96 * 96, 192, times * 1536);
}

// Angles that the last job did not need are not worth their memory.
void CpuBackend::begin(const Model&, size_t) {
  std::erase_if(rotary_tables_, [](const RotaryTable& t) { return !t.used; });
  for (RotaryTable& t : rotary_tables_) t.used = false;
}

void CpuBackend::embed_rows(const Weight& table, std::span<const int32_t> ids, float scale, Rows out) {
  each_row(static_cast<int64_t>(ids.size()), table.cols, [&](int64_t i) {
    float* row = floats(out, i);
    dequantize(k_, table, ids[i] * table.cols, table.cols, row);
    if (scale != 1)
      for (int64_t c = 0; c < table.cols; ++c) row[c] *= scale;
  });
}

void CpuBackend::rms_norm(Rows x, const Weight& weight, const NormParams& params, Rows out) {
  std::vector<float> w(static_cast<size_t>(x.width));
  dequantize(k_, weight, 0, x.width, w.data());
  if (params.offset != 0)
    for (float& each : w) each += params.offset;
  each_row(x.rows, x.width, [&](int64_t i) {
    float* from = floats(x, i);
    float* to = floats(out, i);
    k_.rms_norm(from, w.data(), x.width, params.eps, params.add ? from : to);
    if (!params.add) return;
    for (int64_t c = 0; c < x.width; ++c) to[c] += from[c];
  });
}

const float* CpuBackend::rotary_table(const RopeRef& rope, int64_t positions) {
  auto at = std::find_if(rotary_tables_.begin(), rotary_tables_.end(), [&](const RotaryTable& t) { return t.rope == rope; });
  if (at == rotary_tables_.end()) at = rotary_tables_.insert(rotary_tables_.end(), RotaryTable{rope, {}, 0, true});
  at->used = true;
  if (positions <= at->positions) return at->table.data();
  const auto pairs = static_cast<int64_t>(rope->inv_freq.size());
  const int64_t known = at->positions, wanted = std::max(positions, known + known / 2);
  Floats table(meter_, static_cast<size_t>(wanted * 2 * pairs), false);
  if (known > 0) std::copy_n(at->table.data(), known * 2 * pairs, table.data());
  each_row(wanted - known, 2 * pairs, [&](int64_t i) {
    const int64_t position = known + i;
    float* row = table.data() + position * 2 * pairs;
    for (int64_t d = 0; d < pairs; ++d) {
      // The angle is rounded to fp32 before cos and sin, as transformers does; its error is part of the model.
      const double angle = static_cast<float>(position) * rope->inv_freq[d];
      row[d] = static_cast<float>(std::cos(angle)) * rope->scale;
      row[pairs + d] = static_cast<float>(std::sin(angle)) * rope->scale;
    }
  });
  at->table = std::move(table);
  at->positions = wanted;
  return at->table.data();
}

// Weights in GGUF files of Llama's layout have their rows in this order.
static void rotate_neighbours(float* head, int64_t pairs, const float* cosine, const float* sine) {
  for (int64_t d = 0; d < pairs; ++d) {
    const float first = head[2 * d], second = head[2 * d + 1];
    head[2 * d] = first * cosine[d] - second * sine[d];
    head[2 * d + 1] = second * cosine[d] + first * sine[d];
  }
}

void CpuBackend::rope(Rows x, int64_t heads, const RopeRef& rope, int64_t position) {
  const auto pairs = static_cast<int64_t>(rope->inv_freq.size());
  const int64_t head_dim = x.width / heads;
  const float* table = rotary_table(rope, position + x.rows);
  each_row(x.rows, x.width, [&](int64_t i) {
    const float* cosine = table + (position + i) * 2 * pairs;
    const float* sine = cosine + pairs;
    for (int64_t h = 0; h < heads; ++h) {
      float* a = floats(x, i) + h * head_dim;
      if (rope->adjacent) rotate_neighbours(a, pairs, cosine, sine);
      else k_.rotate_halves(a, cosine, sine, pairs);
    }
  });
}

void CpuBackend::append(KvLayer& kv, Rows k, Rows v) {
  auto& layer = static_cast<CpuKvLayer&>(kv);
  layer.reserve(k.rows);
  const int64_t heads = layer.heads(), dim = k.width / heads;
  parallel(heads, [&](int64_t h, int) {
    const int64_t at = layer.length(h);
    for (int64_t i = 0; i < k.rows; ++i)
      layer.put(h, at + i, floats(k, i) + h * dim, v.data == nullptr ? nullptr : floats(v, i) + h * dim);
  });
  layer.grow(k.rows);
}

void CpuBackend::act_and_mul(Activation activation, Rows gate, Rows up) {
  const auto mul = activation == Activation::kSilu ? k_.silu_mul : k_.gelu_tanh_mul;
  each_row(gate.rows, gate.width, [&](int64_t i) { mul(floats(gate, i), floats(up, i), gate.width); });
}

void CpuBackend::gather(Rows x, std::span<const int32_t> index, Rows out) {
  each_row(static_cast<int64_t>(index.size()), x.width,
           [&](int64_t i) { std::memcpy(floats(out, i), floats(x, index[i]), static_cast<size_t>(x.width) * sizeof(float)); });
}

void CpuBackend::scatter_add(Rows x, std::span<const int32_t> index, std::span<const float> weight, Rows out) {
  each_row(static_cast<int64_t>(index.size()), x.width, [&](int64_t i) {
    const float* from = floats(x, i);
    float* to = floats(out, index[i]);
    for (int64_t c = 0; c < x.width; ++c) to[c] += weight[i] * from[c];
  });
}

void CpuBackend::download(Rows x, float* out) {
  for (int64_t i = 0; i < x.rows; ++i) std::memcpy(out + i * x.width, floats(x, i), x.width * sizeof(float));
}

std::vector<Argmax> CpuBackend::argmax(Rows x) {
  std::vector<Argmax> out;
  for (int64_t i = 0; i < x.rows; ++i) {
    const float *row = floats(x, i), *top = std::max_element(row, row + x.width);
    // Comparisons pass a NaN over.
    if (k_.finite(row, x.width)) out.push_back({static_cast<int32_t>(top - row), *top});
    else out.push_back({0, std::numeric_limits<float>::quiet_NaN()});
  }
  return out;
}

bool CpuBackend::finite(Rows x) {
  std::atomic<bool> good{true};
  each_row(x.rows, x.width, [&](int64_t i) {
    if (!k_.finite(floats(x, i), x.width)) good = false;
  });
  return good;
}

}  // namespace headzip::cpu

namespace headzip {
std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<cpu::CpuBackend>(threads); }
}  // namespace headzip
