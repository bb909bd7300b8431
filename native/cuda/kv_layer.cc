#include "kv_layer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../../cuda/attention/tensor_map.h"
#include "../../cuda/launch.h"
#include "../error.h"

namespace headzip::cuda {

namespace {
constexpr int64_t kLeastGrowth = 128;  // tokens
}

CudaKvLayer::CudaKvLayer(std::shared_ptr<DeviceMeter> meter, cudaStream_t stream, int64_t kv_heads, int64_t head_dim,
                         int64_t capacity, KeyBoxes boxes)
    : KvLayer(kv_heads, {Element::kBF16, Element::kBF16, head_dim}), meter_(std::move(meter)), stream_(stream), boxes_(boxes) {
  for (int64_t h = 0; h < kv_heads; ++h) heads_.push_back(allocate(capacity));
  table_ =
      DeviceMemory(meter_, boxes.attention == 0 ? maps_at() : maps_at() + heads_.size() * sizeof(HeadMaps), "the KV table");
}

CudaKvLayer::Head CudaKvLayer::allocate(int64_t capacity) const {
  Head head;
  head.capacity = std::max<int64_t>(capacity, 1);
  const size_t half = entry_bytes(head.capacity);
  head.memory = DeviceMemory(meter_, 2 * half, "a KV head");
  // Tiles are read whole: what lies past a head's length meets weights of zero, and must be a number for that.
  HEADZIP_CUDA(cudaMemsetAsync(head.memory.as(), 0, 2 * half, stream_));
  if (boxes_.attention == 0) return head;
  const MappedArray keys{head.memory.as<bf16>(), head_dim(), head.capacity, head_dim(), 1, 0};
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
  return {reinterpret_cast<bf16*>(k), reinterpret_cast<bf16*>(k + entry_bytes(head.capacity))};
}

std::unique_ptr<KvLayer> CudaKvLayer::empty() const {
  return std::make_unique<CudaKvLayer>(meter_, stream_, heads(), head_dim(), 1, boxes_);
}

// Appending token by token grows rarely, however short the layer is.
int64_t CudaKvLayer::roomy(int64_t head, int64_t needed) const {
  return needed + std::max<int64_t>(needed / 4, length(head) == 0 ? 0 : kLeastGrowth);
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
    const auto entries = static_cast<int32_t>(length(static_cast<int64_t>(h)));
    std::memcpy(image.data() + h * sizeof(HeadKv), &kv, sizeof kv);
    std::memcpy(image.data() + lengths_at() + h * sizeof(int32_t), &entries, sizeof entries);
    const Window w = window(static_cast<int64_t>(h));
    const HeadWindow window{static_cast<int32_t>(w.recent), static_cast<int32_t>(w.sink),
                            static_cast<int32_t>(index().before(static_cast<int64_t>(h), w.sink))};
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
  if (!index().streams()) return nullptr;
  publish(false);
  return reinterpret_cast<const HeadWindow*>(table_.as<std::byte>() + windows_at());
}

const HeadPositions* CudaKvLayer::device_positions() const {
  if (index().all_contiguous()) return nullptr;
  publish_positions();
  return positions_.as<HeadPositions>();
}

void CudaKvLayer::publish_positions() const {
  if (!positions_stale_) return;
  size_t bytes = heads_.size() * sizeof(HeadPositions);
  for (int64_t h = 0; h < heads(); ++h) bytes += index().listed(h).size() * sizeof(int32_t);
  if (positions_.bytes() < bytes) {
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    positions_ = DeviceMemory();
    positions_ = DeviceMemory(meter_, bytes, "the positions of a layer's entries");
  }
  std::vector<std::byte> image(bytes);
  size_t at = heads_.size() * sizeof(HeadPositions);
  for (size_t h = 0; h < heads_.size(); ++h) {
    const std::span<const int32_t> listed = index().listed(static_cast<int64_t>(h));
    const HeadPositions positions{reinterpret_cast<const int32_t*>(positions_.as<std::byte>() + at),
                                  static_cast<int32_t>(listed.size()),
                                  static_cast<int32_t>(index().shift(static_cast<int64_t>(h)))};
    std::memcpy(image.data() + h * sizeof positions, &positions, sizeof positions);
    if (!listed.empty()) std::memcpy(image.data() + at, listed.data(), listed.size() * sizeof(int32_t));
    at += listed.size() * sizeof(int32_t);
  }
  HEADZIP_CUDA(cudaMemcpyAsync(positions_.as(), image.data(), bytes, cudaMemcpyHostToDevice, stream_));
  positions_stale_ = false;
}

bool CudaKvLayer::has_room(int64_t tokens) const {
  for (int64_t h = 0; h < heads(); ++h)
    if (length(h) + tokens > capacity(h)) return false;
  return true;
}

std::byte* CudaKvLayer::at(bf16* entries, int64_t entry) const {
  return reinterpret_cast<std::byte*>(entries) + entry_bytes(entry);
}

void CudaKvLayer::move_entries(int64_t head, const KvLayer& source, const Entries& entries, int64_t capacity) {
  const auto& layer = static_cast<const CudaKvLayer&>(source);
  const HeadKv from = layer.view(head);
  Head target = allocate(capacity);
  const HeadKv to = view(target);
  if (!entries.list.empty()) {
    const std::vector<int32_t> list(entries.list.begin(), entries.list.end());
    const DeviceMemory on_device(meter_, list.size() * sizeof(int32_t), "a list of entries");
    HEADZIP_CUDA(cudaMemcpyAsync(on_device.as(), list.data(), list.size() * sizeof(int32_t), cudaMemcpyHostToDevice, stream_));
    HEADZIP_CUDA(gather_kv(from, on_device.as<int32_t>(), entries.count, head_dim(), to, stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the list is freed
  } else if (entries.count > 0) {
    HEADZIP_CUDA(cudaMemcpyAsync(to.k, from.k, entry_bytes(entries.count), cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(to.v, from.v, entry_bytes(entries.count), cudaMemcpyDeviceToDevice, stream_));
    if (&layer == this) HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the old buffer is freed
  }
  heads_[static_cast<size_t>(head)] = std::move(target);
}

void CudaKvLayer::append_entries(const KvLayer& tail) {
  const auto& from = static_cast<const CudaKvLayer&>(tail);
  for (int64_t h = 0; h < heads(); ++h) {
    const size_t bytes = entry_bytes(from.length(h));
    HEADZIP_CUDA(cudaMemcpyAsync(at(view(h).k, length(h)), from.view(h).k, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(at(view(h).v, length(h)), from.view(h).v, bytes, cudaMemcpyDeviceToDevice, stream_));
  }
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the caller frees the tail
}

void CudaKvLayer::read_bytes(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const {
  HEADZIP_CUDA(cudaMemcpyAsync(k, at(view(head).k, from), entry_bytes(count), cudaMemcpyDeviceToHost, stream_));
  HEADZIP_CUDA(cudaMemcpyAsync(v, at(view(head).v, from), entry_bytes(count), cudaMemcpyDeviceToHost, stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
}

void CudaKvLayer::write_bytes(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v) {
  HEADZIP_CUDA(cudaMemcpyAsync(at(view(head).k, from), k, entry_bytes(count), cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(cudaMemcpyAsync(at(view(head).v, from), v, entry_bytes(count), cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
}

size_t CudaKvLayer::allocated_bytes() const {
  size_t bytes = table_.bytes();
  for (const Head& head : heads_) bytes += head.memory.bytes();
  return bytes;
}

}  // namespace headzip::cuda
