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
  HEADZIP_CUDA(encode(keys, boxes_.attention, &head.maps.k));
  HEADZIP_CUDA(encode(values, boxes_.attention, &head.maps.v));
  HEADZIP_CUDA(encode(keys, boxes_.score, &head.maps.score_k));
  return head;
}

HeadKv CudaKvLayer::view(int64_t head) const {
  auto* k = heads_[head].memory.as<std::byte>();
  return {reinterpret_cast<bf16*>(k), reinterpret_cast<bf16*>(k + heads_[head].capacity * head_dim_ * kElement)};
}

void CudaKvLayer::publish() const {
  if (!stale_) return;
  std::vector<std::byte> image(table_.bytes());
  for (size_t h = 0; h < heads_.size(); ++h) {
    const HeadKv kv = view(static_cast<int64_t>(h));
    const auto length = static_cast<int32_t>(lengths_[h]);
    std::memcpy(image.data() + h * sizeof(HeadKv), &kv, sizeof kv);
    std::memcpy(image.data() + lengths_at() + h * sizeof(int32_t), &length, sizeof length);
    if (boxes_.attention != 0) std::memcpy(image.data() + maps_at() + h * sizeof(HeadMaps), &heads_[h].maps, sizeof(HeadMaps));
  }
  // From ordinary memory: the copy has left `image` when the call returns.
  HEADZIP_CUDA(cudaMemcpyAsync(table_.as(), image.data(), image.size(), cudaMemcpyHostToDevice, stream_));
  stale_ = false;
}

const HeadKv* CudaKvLayer::device_heads() const {
  publish();
  return table_.as<HeadKv>();
}

const int32_t* CudaKvLayer::device_lengths() const {
  publish();
  return reinterpret_cast<const int32_t*>(table_.as<std::byte>() + lengths_at());
}

const HeadMaps* CudaKvLayer::device_maps() const {
  if (boxes_.attention == 0) return nullptr;
  publish();
  return reinterpret_cast<const HeadMaps*>(table_.as<std::byte>() + maps_at());
}

void CudaKvLayer::reserve(int64_t tokens) {
  for (size_t h = 0; h < heads_.size(); ++h) {
    if (lengths_[h] + tokens <= heads_[h].capacity) continue;
    Head wider = allocate((lengths_[h] + tokens) * 5 / 4);
    const size_t bytes = static_cast<size_t>(lengths_[h] * head_dim_) * kElement;
    const HeadKv from = view(static_cast<int64_t>(h));
    std::swap(heads_[h], wider);
    const HeadKv to = view(static_cast<int64_t>(h));
    HEADZIP_CUDA(cudaMemcpyAsync(to.k, from.k, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(to.v, from.v, bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before `wider`, now the old buffer, is freed
    stale_ = true;
  }
}

void CudaKvLayer::retain(int64_t head, std::span<const int64_t> index) {
  std::vector<int32_t> entries;
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= lengths_.at(head) || (i > 0 && index[i] <= index[i - 1]))
      throw Error("entries to keep must be ascending positions of the cache");
    entries.push_back(static_cast<int32_t>(index[i]));
  }
  Head kept = allocate(static_cast<int64_t>(entries.size()));
  const HeadKv from = view(head);
  std::swap(heads_[head], kept);
  if (!entries.empty()) {
    const DeviceMemory list(meter_, entries.size() * sizeof(int32_t), "a list of entries");
    HEADZIP_CUDA(cudaMemcpyAsync(list.as(), entries.data(), entries.size() * sizeof(int32_t), cudaMemcpyHostToDevice, stream_));
    HEADZIP_CUDA(gather_kv(from, list.as<int32_t>(), static_cast<int64_t>(entries.size()), head_dim_, view(head), stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
  }
  lengths_[head] = static_cast<int64_t>(entries.size());
  stale_ = true;
}

void CudaKvLayer::truncate(int64_t head, int64_t length) {
  if (length < 0 || length > lengths_.at(head)) throw Error("a cache can only be cut to a length that it has reached");
  if (lengths_[head] == length) return;
  lengths_[head] = length;
  stale_ = true;
}

std::unique_ptr<KvLayer> CudaKvLayer::clone() const {
  auto copy = std::make_unique<CudaKvLayer>(meter_, stream_, kv_heads(), head_dim_, 1, boxes_);
  for (int64_t h = 0; h < kv_heads(); ++h) {
    copy->heads_[h] = allocate(lengths_[h]);
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
  stale_ = true;
}

}  // namespace headzip::cuda
