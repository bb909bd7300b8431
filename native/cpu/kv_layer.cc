#include "kv_layer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../error.h"

namespace headzip::cpu {

namespace {
constexpr int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
}

CpuKvLayer::CpuKvLayer(std::shared_ptr<Meter> meter, int64_t kv_heads, int64_t head_dim, int64_t capacity)
    : meter_(std::move(meter)), head_dim_(head_dim), value_stride_(up(head_dim, kPanel)), heads_(kv_heads) {
  for (Head& head : heads_) allocate(head, capacity);
}

void CpuKvLayer::allocate(Head& head, int64_t capacity) const {
  head.capacity = up(std::max<int64_t>(capacity, 1), kKeyAlign);
  head.k = Floats(meter_, head.capacity * head_dim_, true);
  // Zeroed: a key that is masked still multiplies its value by zero, which must be a finite number.
  head.v = Floats(meter_, head.capacity * value_stride_, true);
}

void CpuKvLayer::reserve(int64_t tokens) {
  for (Head& head : heads_) {
    if (head.length + tokens <= head.capacity) continue;
    Head wider;
    // A quarter more than asked for: appending token by token stays linear, and little is held in vain.
    allocate(wider, head.length + tokens + (head.length + tokens) / 4);
    std::memcpy(wider.k.data(), head.k.data(), up(head.length, kPanel) * head_dim_ * sizeof(float));
    std::memcpy(wider.v.data(), head.v.data(), head.length * value_stride_ * sizeof(float));
    wider.length = head.length;
    std::swap(head, wider);
  }
}

void CpuKvLayer::copy_token(const Head& from, int64_t a, const Head& to, int64_t b) const {
  const float* key = from.k.data() + a / kPanel * kPanel * head_dim_ + a % kPanel;
  float* slot = to.k.data() + b / kPanel * kPanel * head_dim_ + b % kPanel;
  for (int64_t d = 0; d < head_dim_; ++d) slot[d * kPanel] = key[d * kPanel];
  std::memcpy(to.v.data() + b * value_stride_, from.v.data() + a * value_stride_, value_stride_ * sizeof(float));
}

void CpuKvLayer::retain(int64_t head, std::span<const int64_t> index) {
  Head& from = heads_.at(head);
  for (size_t i = 0; i < index.size(); ++i)
    if (index[i] < 0 || index[i] >= from.length || (i > 0 && index[i] <= index[i - 1]))
      throw Error("entries to keep must be ascending positions of the cache");
  Head kept;
  allocate(kept, static_cast<int64_t>(index.size()));
  for (size_t i = 0; i < index.size(); ++i) copy_token(from, index[i], kept, static_cast<int64_t>(i));
  kept.length = static_cast<int64_t>(index.size());
  std::swap(from, kept);
}

void CpuKvLayer::truncate(int64_t head, int64_t length) {
  Head& h = heads_.at(head);
  if (length < 0 || length > h.length) throw Error("a cache can only be cut to a length that it has reached");
  h.length = length;
}

std::unique_ptr<KvLayer> CpuKvLayer::clone() const {
  auto copy = std::make_unique<CpuKvLayer>(meter_, kv_heads(), head_dim_, 1);
  for (size_t h = 0; h < heads_.size(); ++h) {
    Head& to = copy->heads_[h];
    copy->allocate(to, heads_[h].length);
    to.length = heads_[h].length;
    std::memcpy(to.k.data(), heads_[h].k.data(), up(to.length, kPanel) * head_dim_ * sizeof(float));
    std::memcpy(to.v.data(), heads_[h].v.data(), to.length * value_stride_ * sizeof(float));
  }
  return copy;
}

size_t CpuKvLayer::allocated_bytes() const {
  size_t bytes = 0;
  for (const Head& head : heads_) bytes += head.k.bytes() + head.v.bytes();
  return bytes;
}

size_t CpuKvLayer::used_bytes() const {
  size_t tokens = 0;
  for (const Head& head : heads_) tokens += static_cast<size_t>(head.length);
  return tokens * static_cast<size_t>(head_dim_) * 2 * sizeof(float);
}

void CpuKvLayer::write(int64_t head, int64_t at, const float* key, const float* value) {
  Head& h = heads_[head];
  float* slot = h.k.data() + at / kPanel * kPanel * head_dim_ + at % kPanel;
  for (int64_t d = 0; d < head_dim_; ++d) slot[d * kPanel] = key[d];
  if (value != nullptr) std::memcpy(h.v.data() + at * value_stride_, value, head_dim_ * sizeof(float));
}

void CpuKvLayer::grow(int64_t tokens) {
  for (Head& head : heads_) head.length += tokens;
}

}  // namespace headzip::cpu
