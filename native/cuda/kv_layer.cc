#include "kv_layer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../../cuda/attention/tensor_map.h"
#include "../../cuda/launch.h"
#include "../error.h"

namespace headzip::cuda {

namespace {
constexpr size_t kElement = 2;  // bf16
constexpr int64_t kLeastGrowth = 128;  // tokens
}

CudaKvLayer::CudaKvLayer(std::shared_ptr<DeviceMeter> meter, cudaStream_t stream, int64_t kv_heads, int64_t head_dim, int64_t capacity,
                         KeyBoxes boxes)
    : meter_(std::move(meter)), stream_(stream), head_dim_(head_dim), lengths_(static_cast<size_t>(kv_heads), 0), boxes_(boxes) {
  for (int64_t h = 0; h < kv_heads; ++h) heads_.push_back(allocate(capacity));
  table_ = DeviceMemory(meter_, boxes.attention == 0 ? maps_at() : maps_at() + heads_.size() * sizeof(HeadMaps), "the KV table");
}

CudaKvLayer::Head CudaKvLayer::allocate(int64_t capacity) const {
  Head head;
  head.capacity = std::max<int64_t>(capacity, 1);
  const size_t half = static_cast<size_t>(head.capacity * head_dim_) * kElement;
  head.memory = DeviceMemory(meter_, 2 * half, "a KV head");
  // Tiles are read whole: what lies past a head's length meets weights of zero, and must be a number for that.
  HEADZIP_CUDA(cudaMemsetAsync(head.memory.as(), 0, 2 * half, stream_));
  if (boxes_.attention == 0) return head;
  const MappedArray keys{head.memory.as<bf16>(), head_dim_, head.capacity, head_dim_, 1, 0};
  MappedArray values = keys;
  values.data = reinterpret_cast<const bf16*>(head.memory.as<std::byte>() + half);
  for (const int blocks : {1, 2}) {
    HEADZIP_CUDA(encode(keys, boxes_.attention / blocks, &head.maps.k[blocks - 1]));
    HEADZIP_CUDA(encode(values, boxes_.attention / blocks, &head.maps.v[blocks - 1]));
  }
  HEADZIP_CUDA(encode(keys, boxes_.score, &head.maps.score_k));
  return head;
}

HeadKv CudaKvLayer::view(const Head& head) const {
  auto* k = head.memory.as<std::byte>();
  return {reinterpret_cast<bf16*>(k), reinterpret_cast<bf16*>(k + head.capacity * head_dim_ * kElement)};
}

void CudaKvLayer::changed() {
  stale_ = positions_stale_ = true;
  ++epoch_;
}

void CudaKvLayer::publish(bool lengths) const {
  if (!stale_ && !(lengths && lengths_stale_)) return;
  std::vector<std::byte> image(table_.bytes());
  for (size_t h = 0; h < heads_.size(); ++h) {
    const HeadKv kv = view(static_cast<int64_t>(h));
    const auto length = static_cast<int32_t>(lengths_[h]);
    std::memcpy(image.data() + h * sizeof(HeadKv), &kv, sizeof kv);
    std::memcpy(image.data() + lengths_at() + h * sizeof(int32_t), &length, sizeof length);
    const Window w = heads_[h].window;
    const HeadWindow window{static_cast<int32_t>(w.recent), static_cast<int32_t>(w.sink), static_cast<int32_t>(before(static_cast<int64_t>(h), w.sink))};
    std::memcpy(image.data() + windows_at() + h * sizeof window, &window, sizeof window);
    if (boxes_.attention != 0) std::memcpy(image.data() + maps_at() + h * sizeof(HeadMaps), &heads_[h].maps, sizeof(HeadMaps));
  }
  // From ordinary memory: the copy has left `image` when the call returns.
  HEADZIP_CUDA(cudaMemcpyAsync(table_.as(), image.data(), image.size(), cudaMemcpyHostToDevice, stream_));
  stale_ = lengths_stale_ = false;
}

const HeadKv* CudaKvLayer::device_heads() const {
  publish(false);
  return table_.as<HeadKv>();
}

const int32_t* CudaKvLayer::device_lengths() const {
  publish(true);
  return reinterpret_cast<const int32_t*>(table_.as<std::byte>() + lengths_at());
}

const HeadMaps* CudaKvLayer::device_maps() const {
  if (boxes_.attention == 0) return nullptr;
  publish(false);
  return reinterpret_cast<const HeadMaps*>(table_.as<std::byte>() + maps_at());
}

const HeadWindow* CudaKvLayer::device_windows() const {
  if (!streams()) return nullptr;
  publish(false);
  return reinterpret_cast<const HeadWindow*>(table_.as<std::byte>() + windows_at());
}

const HeadPositions* CudaKvLayer::device_positions() const {
  if (!has_gaps()) return nullptr;
  publish_positions();
  return positions_.as<HeadPositions>();
}

void CudaKvLayer::publish_positions() const {
  if (!positions_stale_) return;
  size_t bytes = heads_.size() * sizeof(HeadPositions);
  for (const Head& head : heads_) bytes += head.positions.size() * sizeof(int32_t);
  if (positions_.bytes() < bytes) {
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    positions_ = DeviceMemory();
    positions_ = DeviceMemory(meter_, bytes, "the positions of a layer's entries");
  }
  std::vector<std::byte> image(bytes);
  size_t at = heads_.size() * sizeof(HeadPositions);
  for (size_t h = 0; h < heads_.size(); ++h) {
    const Head& head = heads_[h];
    const HeadPositions positions{reinterpret_cast<const int32_t*>(positions_.as<std::byte>() + at), static_cast<int32_t>(head.positions.size()),
                            static_cast<int32_t>(head.shift)};
    std::memcpy(image.data() + h * sizeof positions, &positions, sizeof positions);
    if (!head.positions.empty()) std::memcpy(image.data() + at, head.positions.data(), head.positions.size() * sizeof(int32_t));
    at += head.positions.size() * sizeof(int32_t);
  }
  HEADZIP_CUDA(cudaMemcpyAsync(positions_.as(), image.data(), bytes, cudaMemcpyHostToDevice, stream_));
  positions_stale_ = false;
}

bool CudaKvLayer::streams() const {
  return std::any_of(heads_.begin(), heads_.end(), [](const Head& head) { return head.window.recent > 0; });
}

bool CudaKvLayer::has_gaps() const {
  for (int64_t h = 0; h < kv_heads(); ++h)
    if (const int64_t n = lengths_[h]; n > 0 && !heads_[h].positions.empty() && position(h, n - 1) - position(h, 0) != n - 1) return true;
  return false;
}

bool CudaKvLayer::uniform() const {
  return std::all_of(lengths_.begin(), lengths_.end(), [&](int64_t n) { return n == lengths_.front(); });
}

bool CudaKvLayer::has_room(int64_t tokens) const {
  for (size_t h = 0; h < heads_.size(); ++h)
    if (lengths_[h] + tokens > heads_[h].capacity) return false;
  return true;
}

int64_t CudaKvLayer::before(int64_t head, int64_t position) const {
  const Head& h = heads_[head];
  const auto listed = static_cast<int64_t>(h.positions.size());
  const int64_t low = std::lower_bound(h.positions.begin(), h.positions.end(), position) - h.positions.begin();
  return low < listed ? low : std::clamp(position - h.shift, listed, lengths_[head]);
}

void CudaKvLayer::reserve(int64_t tokens) {
  for (size_t h = 0; h < heads_.size(); ++h) {
    const int64_t needed = lengths_[h] + tokens;
    if (needed <= heads_[h].capacity) continue;
    // Appending token by token grows rarely, however short the layer is.
    Head wider = allocate(needed + std::max<int64_t>(needed / 4, lengths_[h] == 0 ? 0 : kLeastGrowth));
    const size_t bytes = static_cast<size_t>(lengths_[h] * head_dim_) * kElement;
    const HeadKv from = view(static_cast<int64_t>(h));
    wider.positions = heads_[h].positions;
    wider.shift = heads_[h].shift;
    wider.window = heads_[h].window;
    std::swap(heads_[h], wider);
    const HeadKv to = view(static_cast<int64_t>(h));
    HEADZIP_CUDA(cudaMemcpyAsync(to.k, from.k, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(to.v, from.v, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before `wider`, now the old buffer, is freed
    changed();
  }
}

std::byte* CudaKvLayer::at(bf16* entries, int64_t entry) const {
  return reinterpret_cast<std::byte*>(entries) + entry * head_dim_ * static_cast<int64_t>(kElement);
}

void CudaKvLayer::set_window(int64_t head, Window window) {
  heads_.at(head).window = window;
  changed();
}

CudaKvLayer::Head CudaKvLayer::pick(int64_t head, std::span<const int64_t> index, int64_t appended) const {
  std::vector<int32_t> entries;
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= lengths_.at(head) || (i > 0 && index[i] <= index[i - 1]))
      throw Error("entries to keep must be ascending positions of the cache");
    entries.push_back(static_cast<int32_t>(index[i]));
  }
  Head kept = allocate(static_cast<int64_t>(entries.size()));
  if (!entries.empty()) {
    const DeviceMemory list(meter_, entries.size() * sizeof(int32_t), "a list of entries");
    HEADZIP_CUDA(cudaMemcpyAsync(list.as(), entries.data(), entries.size() * sizeof(int32_t), cudaMemcpyHostToDevice, stream_));
    HEADZIP_CUDA(gather_kv(view(head), list.as<int32_t>(), static_cast<int64_t>(entries.size()), head_dim_, view(kept), stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the list is freed
  }
  kept.shift = appended - static_cast<int64_t>(entries.size());
  for (const int64_t i : index) kept.positions.push_back(static_cast<int32_t>(position(head, i)));
  return kept;
}

int64_t CudaKvLayer::position(int64_t head, int64_t index) const {
  const Head& h = heads_.at(head);
  return static_cast<size_t>(index) < h.positions.size() ? h.positions[index] : index + h.shift;
}

void CudaKvLayer::retain(int64_t head, std::span<const int64_t> index) {
  const Window window = heads_.at(head).window;
  heads_[head] = pick(head, index, heads_[head].shift + lengths_[head]);
  heads_[head].window = window;
  lengths_[head] = static_cast<int64_t>(index.size());
  changed();
}

std::unique_ptr<KvLayer> CudaKvLayer::gather(std::span<const std::vector<int64_t>> index, int64_t appended) const {
  if (index.size() != heads_.size()) throw Error("a list of entries is needed for every head");
  auto kept = std::make_unique<CudaKvLayer>(meter_, stream_, kv_heads(), head_dim_, 1, boxes_);
  for (size_t h = 0; h < heads_.size(); ++h) {
    kept->heads_[h] = pick(static_cast<int64_t>(h), index[h], appended);
    kept->lengths_[h] = static_cast<int64_t>(index[h].size());
  }
  return kept;
}

void CudaKvLayer::extend(const KvLayer& tail) {
  const auto& from = static_cast<const CudaKvLayer&>(tail);
  if (from.heads_.size() != heads_.size() || from.head_dim_ != head_dim_) throw Error("layers of different shapes cannot be joined");
  reserve(*std::max_element(from.lengths_.begin(), from.lengths_.end()));
  for (int64_t h = 0; h < kv_heads(); ++h) {
    const size_t bytes = static_cast<size_t>(from.lengths_[h] * head_dim_) * kElement;
    HEADZIP_CUDA(cudaMemcpyAsync(at(view(h).k, lengths_[h]), from.view(h).k, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(at(view(h).v, lengths_[h]), from.view(h).v, bytes, cudaMemcpyDeviceToDevice, stream_));
    lengths_[h] += from.lengths_[h];
  }
  changed();
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the caller frees the tail
}

void CudaKvLayer::check_range(int64_t head, int64_t from, int64_t count) const {
  if (head < 0 || head >= kv_heads() || from < 0 || count < 0 || from + count > lengths_[head])
    throw Error("these entries are not in the cache");
}

void CudaKvLayer::read(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const {
  check_range(head, from, count);
  const size_t bytes = static_cast<size_t>(count * head_dim_) * kElement;
  HEADZIP_CUDA(cudaMemcpyAsync(k, at(view(head).k, from), bytes, cudaMemcpyDeviceToHost, stream_));
  HEADZIP_CUDA(cudaMemcpyAsync(v, at(view(head).v, from), bytes, cudaMemcpyDeviceToHost, stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
}

void CudaKvLayer::write(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v, const int32_t* positions) {
  check_range(head, from, count);
  const size_t bytes = static_cast<size_t>(count * head_dim_) * kElement;
  HEADZIP_CUDA(cudaMemcpyAsync(at(view(head).k, from), k, bytes, cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(cudaMemcpyAsync(at(view(head).v, from), v, bytes, cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
  std::copy_n(positions, count, heads_[head].positions.begin() + from);
  changed();
}

void CudaKvLayer::resize(int64_t head, int64_t length, int64_t appended) {
  const Window window = heads_.at(head).window;
  heads_[head] = allocate(length);
  heads_[head].window = window;
  heads_[head].positions.resize(static_cast<size_t>(length));
  heads_[head].shift = appended - length;
  lengths_[head] = length;
  changed();
}

void CudaKvLayer::truncate(int64_t head, int64_t length) {
  if (length < 0 || length > lengths_.at(head)) throw Error("a cache can only be cut to a length that it has reached");
  if (lengths_[head] == length) return;
  lengths_[head] = length;
  if (static_cast<size_t>(length) < heads_[head].positions.size()) heads_[head].positions.resize(length);
  changed();
}

std::unique_ptr<KvLayer> CudaKvLayer::clone() const {
  auto copy = std::make_unique<CudaKvLayer>(meter_, stream_, kv_heads(), head_dim_, 1, boxes_);
  for (int64_t h = 0; h < kv_heads(); ++h) {
    copy->heads_[h] = allocate(lengths_[h]);
    copy->heads_[h].positions = heads_[h].positions;
    copy->heads_[h].shift = heads_[h].shift;
    copy->heads_[h].window = heads_[h].window;
    copy->lengths_[h] = lengths_[h];
    const size_t bytes = static_cast<size_t>(lengths_[h] * head_dim_) * kElement;
    HEADZIP_CUDA(cudaMemcpyAsync(copy->view(h).k, view(h).k, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(copy->view(h).v, view(h).v, bytes, cudaMemcpyDeviceToDevice, stream_));
  }
  return copy;
}

size_t CudaKvLayer::allocated_bytes() const {
  size_t bytes = table_.bytes();
  for (const Head& head : heads_) bytes += head.memory.bytes();
  return bytes;
}

size_t CudaKvLayer::used_bytes() const {
  size_t tokens = 0;
  for (const int64_t n : lengths_) tokens += static_cast<size_t>(n);
  return tokens * static_cast<size_t>(head_dim_) * 2 * kElement;
}

void CudaKvLayer::grow(int64_t tokens) {
  for (int64_t& n : lengths_) n += tokens;
  lengths_stale_ = true;
}

}  // namespace headzip::cuda
