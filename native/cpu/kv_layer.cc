#include "kv_layer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../error.h"

namespace headzip::cpu {

namespace {
constexpr int64_t kMostSpare = 1024;

constexpr int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
}  // namespace

CpuKvLayer::CpuKvLayer(std::shared_ptr<Meter> meter, int64_t kv_heads, int64_t head_dim, int64_t capacity)
    : KvLayer(kv_heads, {Element::kF32, Element::kF32, head_dim}), meter_(std::move(meter)),
      value_stride_(up(head_dim, kPanel)), heads_(static_cast<size_t>(kv_heads)) {
  for (Head& head : heads_) head = allocate(capacity);
}

CpuKvLayer::Head CpuKvLayer::allocate(int64_t capacity) const {
  Head head;
  head.capacity = up(std::max<int64_t>(capacity, 1), kKeyAlign);
  head.k = Floats(meter_, static_cast<size_t>(head.capacity * head_dim()), true);
  // Zeroed: a key that is masked still multiplies its value by zero, which must be a finite number.
  head.v = Floats(meter_, static_cast<size_t>(head.capacity * value_stride_), true);
  return head;
}

std::unique_ptr<KvLayer> CpuKvLayer::empty() const { return std::make_unique<CpuKvLayer>(meter_, heads(), head_dim(), 1); }

// Up to a quarter more than asked for: appending token by token stays cheap, and little is held in vain.
int64_t CpuKvLayer::roomy(int64_t, int64_t needed) const { return needed + std::min(needed / 4, kMostSpare); }

float* CpuKvLayer::key(const Head& head, int64_t entry) const {
  return head.k.data() + entry / kPanel * kPanel * head_dim() + entry % kPanel;
}

void CpuKvLayer::copy_entry(const Head& from, int64_t a, const Head& to, int64_t b) const {
  const float* source = key(from, a);
  float* target = key(to, b);
  for (int64_t d = 0; d < head_dim(); ++d) target[d * kPanel] = source[d * kPanel];
  std::memcpy(to.v.data() + b * value_stride_, from.v.data() + a * value_stride_,
              static_cast<size_t>(value_stride_) * sizeof(float));
}

void CpuKvLayer::move_entries(int64_t head, const KvLayer& from, const Entries& entries, int64_t capacity) {
  const Head& source = static_cast<const CpuKvLayer&>(from).heads_.at(static_cast<size_t>(head));
  Head target = allocate(capacity);
  if (entries.list.empty() && entries.count > 0) {  // whole panels
    std::memcpy(target.k.data(), source.k.data(), static_cast<size_t>(up(entries.count, kPanel) * head_dim()) * sizeof(float));
    std::memcpy(target.v.data(), source.v.data(), static_cast<size_t>(entries.count * value_stride_) * sizeof(float));
  }
  for (size_t i = 0; i < entries.list.size(); ++i) copy_entry(source, entries.list[i], target, static_cast<int64_t>(i));
  heads_[static_cast<size_t>(head)] = std::move(target);
}

void CpuKvLayer::append_entries(const KvLayer& tail) {
  const auto& from = static_cast<const CpuKvLayer&>(tail);
  for (size_t h = 0; h < heads_.size(); ++h) {
    const int64_t at = length(static_cast<int64_t>(h));
    for (int64_t i = 0; i < from.length(static_cast<int64_t>(h)); ++i) copy_entry(from.heads_[h], i, heads_[h], at + i);
  }
}

void CpuKvLayer::read_bytes(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const {
  const Head& h = heads_[static_cast<size_t>(head)];
  auto* keys = reinterpret_cast<float*>(k);
  const size_t bytes = static_cast<size_t>(head_dim()) * sizeof(float);
  for (int64_t i = 0; i < count; ++i) {
    const float* slot = key(h, from + i);
    for (int64_t d = 0; d < head_dim(); ++d) keys[i * head_dim() + d] = slot[d * kPanel];
    std::memcpy(v + static_cast<size_t>(i) * bytes, h.v.data() + (from + i) * value_stride_, bytes);
  }
}

void CpuKvLayer::write_bytes(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v) {
  const auto* keys = reinterpret_cast<const float*>(k);
  const auto* values = reinterpret_cast<const float*>(v);
  for (int64_t i = 0; i < count; ++i) put(head, from + i, keys + i * head_dim(), values + i * head_dim());
}

size_t CpuKvLayer::allocated_bytes() const {
  size_t bytes = 0;
  for (const Head& head : heads_) bytes += head.k.bytes() + head.v.bytes();
  return bytes;
}

void CpuKvLayer::put(int64_t head, int64_t at, const float* k, const float* v) {
  const Head& h = heads_[static_cast<size_t>(head)];
  float* slot = key(h, at);
  for (int64_t d = 0; d < head_dim(); ++d) slot[d * kPanel] = k[d];
  if (v != nullptr) std::memcpy(h.v.data() + at * value_stride_, v, static_cast<size_t>(head_dim()) * sizeof(float));
}

}  // namespace headzip::cpu
