#include "backend.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
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
  static_cast<Rows&>(out) = Rows{data, count, width, static_cast<size_t>(width) * sizeof(float)};
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
  const int64_t width = 2 * spec.intermediate + (2 * spec.heads + 2 * spec.kv_heads) * spec.head_dim + 2 * spec.hidden;
  return std::clamp<int64_t>((int64_t{64} << 20) / (width * 4) / 96 * 96, 192, 768);
}

void CpuBackend::embed(const Weight& table, std::span<const int32_t> ids, Rows out) {
  const int64_t row_bytes = table.cols * static_cast<int64_t>(bytes_of(table.type));
  parallel(static_cast<int64_t>(ids.size()), [&](int64_t i, int) {
    k_.widen(stored(table.type), table.data + ids[i] * row_bytes, table.cols, floats(out, i));
  });
}

void CpuBackend::rms_norm(Rows x, const Weight& weight, float eps, Rows out) {
  std::vector<float> w(static_cast<size_t>(x.width));
  k_.widen(stored(weight.type), weight.data, x.width, w.data());
  parallel(x.rows, [&](int64_t i, int) { k_.rms_norm(floats(x, i), w.data(), x.width, eps, floats(out, i)); });
}

// Every layer turns by the same angles: they are computed once a position.
const float* CpuBackend::turns(const ModelSpec& spec, int64_t positions) {
  if (turns_of_ != &spec) turned_ = 0;
  turns_of_ = &spec;
  if (positions <= turned_) return turns_.data();
  const int64_t half = spec.head_dim / 2, wanted = std::min(std::max(positions, 2 * turned_), std::max(positions, spec.max_positions));
  Floats table(meter_, static_cast<size_t>(wanted * spec.head_dim), false);
  std::copy_n(turns_.data(), turned_ * spec.head_dim, table.data());
  parallel(wanted - turned_, [&](int64_t i, int) {
    const int64_t position = turned_ + i;
    float* row = table.data() + position * spec.head_dim;
    for (int64_t d = 0; d < half; ++d) {
      // The angle is rounded to fp32 before cos and sin, as transformers does; its error is part of the model.
      const double angle = static_cast<float>(position) * spec.inv_freq[d];
      row[d] = static_cast<float>(std::cos(angle)) * spec.rope_scale;
      row[half + d] = static_cast<float>(std::sin(angle)) * spec.rope_scale;
    }
  });
  turns_ = std::move(table);
  turned_ = wanted;
  return turns_.data();
}

void CpuBackend::rope(Rows x, int64_t heads, const ModelSpec& spec, int64_t position) {
  const int64_t half = spec.head_dim / 2;
  const float* table = turns(spec, position + x.rows);
  parallel(x.rows, [&](int64_t i, int) {
    const float* cosine = table + (position + i) * spec.head_dim;
    const float* sine = cosine + half;
    for (int64_t h = 0; h < heads; ++h) {
      float* a = floats(x, i) + h * spec.head_dim;
      float* b = a + half;
      for (int64_t d = 0; d < half; ++d) {
        const float first = a[d], second = b[d];
        a[d] = first * cosine[d] - second * sine[d];
        b[d] = second * cosine[d] + first * sine[d];
      }
    }
  });
}

void CpuBackend::append(KvLayer& kv, Rows k, Rows v) {
  auto& layer = static_cast<CpuKvLayer&>(kv);
  layer.reserve(k.rows);
  const int64_t heads = layer.kv_heads(), dim = k.width / heads;
  parallel(heads, [&](int64_t h, int) {
    const int64_t at = layer.length(h);
    for (int64_t i = 0; i < k.rows; ++i)
      layer.put(h, at + i, floats(k, i) + h * dim, v.data == nullptr ? nullptr : floats(v, i) + h * dim);
  });
  layer.grow(k.rows);
}

void CpuBackend::silu_mul(Rows gate, Rows up) {
  parallel(gate.rows, [&](int64_t i, int) { k_.silu_mul(floats(gate, i), floats(up, i), gate.width); });
}

void CpuBackend::download(Rows x, float* out) {
  for (int64_t i = 0; i < x.rows; ++i) std::memcpy(out + i * x.width, floats(x, i), x.width * sizeof(float));
}

bool CpuBackend::finite(Rows x) {
  constexpr int64_t kRowsPerTask = 64;
  std::atomic<bool> good{true};
  parallel((x.rows + kRowsPerTask - 1) / kRowsPerTask, [&](int64_t task, int) {
    for (int64_t i = task * kRowsPerTask; i < std::min(x.rows, (task + 1) * kRowsPerTask); ++i)
      if (!k_.finite(floats(x, i), x.width)) good = false;
  });
  return good;
}

}  // namespace headzip::cpu

namespace headzip {
std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<cpu::CpuBackend>(threads); }
}  // namespace headzip
