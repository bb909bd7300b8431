#include "kv_layer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../error.h"

namespace headzip::cpu {

namespace {
constexpr int64_t kMostSpare = 1024;

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
    // Up to a quarter more than asked for: appending token by token stays cheap, and little is held in vain.
    const int64_t needed = head.length + tokens;
    allocate(wider, needed + std::min(needed / 4, kMostSpare));
    std::memcpy(wider.k.data(), head.k.data(), up(head.length, kPanel) * head_dim_ * sizeof(float));
    std::memcpy(wider.v.data(), head.v.data(), head.length * value_stride_ * sizeof(float));
    std::swap(head.k, wider.k);
    std::swap(head.v, wider.v);
    head.capacity = wider.capacity;
  }
}

void CpuKvLayer::copy_token(const Head& from, int64_t a, const Head& to, int64_t b) const {
  const float* key = from.k.data() + a / kPanel * kPanel * head_dim_ + a % kPanel;
  float* slot = to.k.data() + b / kPanel * kPanel * head_dim_ + b % kPanel;
  for (int64_t d = 0; d < head_dim_; ++d) slot[d * kPanel] = key[d * kPanel];
  std::memcpy(to.v.data() + b * value_stride_, from.v.data() + a * value_stride_, value_stride_ * sizeof(float));
}

CpuKvLayer::Head CpuKvLayer::pick(int64_t head, std::span<const int64_t> index, int64_t appended) const {
  const Head& from = heads_.at(head);
  for (size_t i = 0; i < index.size(); ++i)
    if (index[i] < 0 || index[i] >= from.length || (i > 0 && index[i] <= index[i - 1]))
      throw Error("entries to keep must be ascending positions of the cache");
  Head kept;
  allocate(kept, static_cast<int64_t>(index.size()));
  for (size_t i = 0; i < index.size(); ++i) copy_token(from, index[i], kept, static_cast<int64_t>(i));
  kept.length = static_cast<int64_t>(index.size());
  kept.shift = appended - kept.length;
  for (const int64_t i : index) kept.positions.push_back(static_cast<int32_t>(position(head, i)));
  return kept;
}

void CpuKvLayer::retain(int64_t head, std::span<const int64_t> index) {
  const Head& from = heads_.at(head);
  Head kept = pick(head, index, from.shift + from.length);
  kept.window = from.window;
  heads_[head] = std::move(kept);
}

std::unique_ptr<KvLayer> CpuKvLayer::gather(std::span<const std::vector<int64_t>> index, int64_t appended) const {
  if (index.size() != heads_.size()) throw Error("a list of entries is needed for every head");
  auto kept = std::make_unique<CpuKvLayer>(meter_, kv_heads(), head_dim_, 1);
  for (size_t h = 0; h < heads_.size(); ++h) kept->heads_[h] = pick(static_cast<int64_t>(h), index[h], appended);
  return kept;
}

void CpuKvLayer::extend(const KvLayer& tail) {
  const auto& from = static_cast<const CpuKvLayer&>(tail);
  if (from.heads_.size() != heads_.size() || from.head_dim_ != head_dim_) throw Error("layers of different shapes cannot be joined");
  int64_t longest = 0;
  for (const Head& head : from.heads_) longest = std::max(longest, head.length);
  reserve(longest);
  for (size_t h = 0; h < heads_.size(); ++h) {
    const Head& more = from.heads_[h];
    for (int64_t i = 0; i < more.length; ++i) copy_token(more, i, heads_[h], heads_[h].length + i);
    heads_[h].length += more.length;
  }
}

void CpuKvLayer::check_range(int64_t head, int64_t from, int64_t count) const {
  if (head < 0 || head >= kv_heads() || from < 0 || count < 0 || from + count > heads_[head].length)
    throw Error("these entries are not in the cache");
}

void CpuKvLayer::read(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const {
  check_range(head, from, count);
  const Head& h = heads_[head];
  auto* keys = reinterpret_cast<float*>(k);
  for (int64_t i = 0; i < count; ++i) {
    const float* slot = h.k.data() + (from + i) / kPanel * kPanel * head_dim_ + (from + i) % kPanel;
    for (int64_t d = 0; d < head_dim_; ++d) keys[i * head_dim_ + d] = slot[d * kPanel];
    std::memcpy(v + i * head_dim_ * sizeof(float), h.v.data() + (from + i) * value_stride_, head_dim_ * sizeof(float));
  }
}

void CpuKvLayer::write(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v, const int32_t* positions) {
  check_range(head, from, count);
  const auto* keys = reinterpret_cast<const float*>(k);
  const auto* values = reinterpret_cast<const float*>(v);
  for (int64_t i = 0; i < count; ++i) {
    put(head, from + i, keys + i * head_dim_, values + i * head_dim_);
    heads_[head].positions.at(from + i) = positions[i];
  }
}

void CpuKvLayer::resize(int64_t head, int64_t length, int64_t appended) {
  Head fresh;
  allocate(fresh, length);
  fresh.length = length;
  fresh.positions.resize(static_cast<size_t>(length));
  fresh.shift = appended - length;
  fresh.window = heads_.at(head).window;
  heads_[head] = std::move(fresh);
}

int64_t CpuKvLayer::position(int64_t head, int64_t index) const {
  const Head& h = heads_.at(head);
  return static_cast<size_t>(index) < h.positions.size() ? h.positions[index] : index + h.shift;
}

int64_t CpuKvLayer::before(int64_t head, int64_t position) const {
  const Head& h = heads_[head];
  const auto listed = static_cast<int64_t>(h.positions.size());
  const int64_t low = std::lower_bound(h.positions.begin(), h.positions.end(), position) - h.positions.begin();
  return low < listed ? low : std::clamp(position - h.shift, listed, h.length);
}

void CpuKvLayer::truncate(int64_t head, int64_t length) {
  Head& h = heads_.at(head);
  if (length < 0 || length > h.length) throw Error("a cache can only be cut to a length that it has reached");
  h.length = length;
  if (static_cast<size_t>(length) < h.positions.size()) h.positions.resize(length);
}

std::unique_ptr<KvLayer> CpuKvLayer::clone() const {
  auto copy = std::make_unique<CpuKvLayer>(meter_, kv_heads(), head_dim_, 1);
  for (size_t h = 0; h < heads_.size(); ++h) {
    Head& to = copy->heads_[h];
    copy->allocate(to, heads_[h].length);
    to.length = heads_[h].length;
    to.window = heads_[h].window;
    to.positions = heads_[h].positions;
    to.shift = heads_[h].shift;
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

void CpuKvLayer::put(int64_t head, int64_t at, const float* key, const float* value) {
  Head& h = heads_[head];
  float* slot = h.k.data() + at / kPanel * kPanel * head_dim_ + at % kPanel;
  for (int64_t d = 0; d < head_dim_; ++d) slot[d * kPanel] = key[d];
  if (value != nullptr) std::memcpy(h.v.data() + at * value_stride_, value, head_dim_ * sizeof(float));
}

void CpuKvLayer::grow(int64_t tokens) {
  for (Head& head : heads_) head.length += tokens;
}

}  // namespace headzip::cpu
