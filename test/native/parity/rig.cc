#include "rig.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace headzip::parity {

namespace {

// fp32 throughout; exp2 is a polynomial whose error vec.h states.
constexpr Precision kCpu{0x1p-24, 0x1p-24, 0x1p-24, 0x1p-24, 0, 3e-7, 0};
// bf16 with fp32 accumulation, by tensor cores that cut what they add off instead of rounding it. exp2 and its
// reciprocals are the hardware's (2 units in the last place and one for the argument), tanh is CUDA's (1 unit).
constexpr Precision kCuda{0x1p-8, 0x1p-24, 0x1p-24, 0x1p-22, 0x1p-8, 0x1p-21, 0x1p-22};

float float_of_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

std::vector<float> upcast(const std::vector<std::byte>& bytes, Element element) {
  std::vector<float> out(bytes.size() / bytes_of(element));
  for (size_t i = 0; i < out.size(); ++i) {
    if (element == Element::kF32) {
      std::memcpy(&out[i], bytes.data() + 4 * i, 4);
      continue;
    }
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + 2 * i, 2);
    out[i] = float_of_bf16(bits);
  }
  return out;
}

}  // namespace

float to_bf16(float value) {
  if (!std::isfinite(value)) return value;
  const auto bits = std::bit_cast<uint32_t>(value);
  return float_of_bf16(static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}

Rig::Rig(Backend& backend) : backend(backend), eps(backend.element() == Element::kF32 ? kCpu : kCuda) {}

float Rig::kept(float value) const { return exact() ? value : to_bf16(value); }

int64_t Rig::below(int64_t end) {
  state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
  return static_cast<int64_t>(state_ % static_cast<uint64_t>(end));
}

std::vector<float> Rig::random(int64_t count, float scale) {
  std::vector<float> out(static_cast<size_t>(count));
  for (float& each : out) each = kept(scale * (static_cast<float>(below(1 << 24)) * 0x1p-23f - 1));
  return out;
}

const Weight& Rig::weight(std::vector<float> values, int64_t rows, int64_t cols) {
  const std::vector<float>& kept = floats_.emplace_back(std::move(values));
  return weights_.emplace_back(Weight{reinterpret_cast<const std::byte*>(kept.data()), StoredType::kF32, rows, cols});
}

const Weight& Rig::weight(const Encoded& encoded, int64_t rows, int64_t cols) {
  Weight weight{bytes_.emplace_back(encoded.bytes).data(), encoded.type, rows, cols};
  if (!encoded.scales.empty()) {
    weight.scales = encoded.grid;
    weight.scales.data = bytes_.emplace_back(encoded.scales).data();
  }
  return weights_.emplace_back(weight);
}

// embed() is how values come into a backend: row i of a table.
void Rig::fill(Rows to, const std::vector<float>& values) {
  std::vector<int32_t> ids(static_cast<size_t>(to.rows));
  std::iota(ids.begin(), ids.end(), 0);
  backend.embed(weight(values, to.rows, to.width), ids, 1, to);
}

OwnedRows Rig::rows(const std::vector<float>& values, int64_t count) {
  OwnedRows out = backend.rows(count, static_cast<int64_t>(values.size()) / count);
  fill(out, values);
  return out;
}

OwnedRows Rig::stream(const std::vector<float>& values, int64_t count) {
  OwnedRows out = backend.stream(count, static_cast<int64_t>(values.size()) / count);
  fill(out, values);
  return out;
}

std::vector<float> Rig::values(Rows rows) {
  std::vector<float> out(static_cast<size_t>(rows.rows * rows.width));
  backend.download(rows, out.data());
  return out;
}

std::vector<float> Rig::values(const ScoreBuffer& scores) {
  std::vector<float> out(static_cast<size_t>(scores.kv_heads * scores.positions));
  backend.download(scores, out.data());
  backend.synchronize();
  return out;
}

void Rig::append(KvLayer& kv, int64_t entries) {
  const int64_t width = kv.heads() * kv.head_dim();
  backend.append(kv, rows(random(entries * width), entries), rows(random(entries * width), entries));
}

std::unique_ptr<KvLayer> Rig::kv(int64_t heads, int64_t head_dim, int64_t entries, int64_t capacity) {
  auto kv = backend.kv(heads, head_dim, capacity);
  if (entries > 0) append(*kv, entries);
  return kv;
}

HeadValues read_head(const KvLayer& kv, int64_t head) {
  const int64_t entries = kv.length(head);
  std::vector<std::byte> k(static_cast<size_t>(entries) * kv.format().key_bytes()),
      v(static_cast<size_t>(entries) * kv.format().value_bytes());
  kv.read(head, 0, entries, k.data(), v.data());
  return {upcast(k, kv.format().k), upcast(v, kv.format().v)};
}

}  // namespace headzip::parity
