// Keys and values of one layer in device memory, a buffer a head, so that what is evicted is really freed.
#pragma once
#include <vector>

#include "../../cuda/types.h"
#include "device.h"

namespace headzip::cuda {

class CudaKvLayer final : public KvLayer {
 public:
  CudaKvLayer(std::shared_ptr<DeviceMeter> meter, cudaStream_t stream, int64_t kv_heads, int64_t head_dim, int64_t capacity);
  int64_t length(int64_t head) const override { return lengths_[head]; }
  void reserve(int64_t tokens) override;
  void retain(int64_t head, std::span<const int64_t> index) override;
  void truncate(int64_t head, int64_t length) override;
  std::unique_ptr<KvLayer> clone() const override;
  size_t allocated_bytes() const override;
  size_t used_bytes() const override;

  int64_t kv_heads() const { return static_cast<int64_t>(heads_.size()); }
  // Every head holds the same number of entries: nothing was evicted from some only.
  bool even() const;
  int64_t capacity(int64_t head) const { return heads_[head].capacity; }
  HeadKv view(int64_t head) const;
  // (kv_heads) on the device, current after every change here.
  const HeadKv* device_heads() const { return table_.as<HeadKv>(); }
  const int32_t* device_lengths() const;
  void grow(int64_t tokens);

 private:
  struct Head {
    DeviceMemory memory;  // keys, then values: (capacity, head_dim) each
    int64_t capacity = 0;
  };
  Head allocate(int64_t capacity) const;
  void publish();  // copies pointers and lengths to the device

  std::shared_ptr<DeviceMeter> meter_;
  cudaStream_t stream_;
  int64_t head_dim_;
  std::vector<Head> heads_;
  std::vector<int64_t> lengths_;
  DeviceMemory table_;  // (kv_heads) HeadKv, then (kv_heads) int32 lengths
};

}  // namespace headzip::cuda
