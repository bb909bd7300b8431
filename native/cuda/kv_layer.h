// Keys and values of one layer in device memory, a buffer a head, so that what is evicted is really freed.
#pragma once
#include <vector>

#include "../../cuda/decode/decode.h"
#include "device.h"

namespace headzip::cuda {

// Rows of the boxes in which the Hopper kernels read keys and values; 0: they do not read this cache.
struct KeyBoxes {
  int attention = 0, score = 0;
};

class CudaKvLayer final : public KvLayer {
 public:
  CudaKvLayer(std::shared_ptr<DeviceMeter> meter, cudaStream_t stream, int64_t kv_heads, int64_t head_dim, int64_t capacity,
              KeyBoxes boxes);

  size_t allocated_bytes() const override;
  int64_t capacity(int64_t head) const override { return heads_.at(static_cast<size_t>(head)).capacity; }
  HeadKv view(int64_t head) const { return view(heads_[static_cast<size_t>(head)]); }
  // (kv_heads) on the device, brought up to date by the call.
  const HeadKv* device_heads() const;
  const int32_t* device_lengths() const;
  const HeadMaps* device_maps() const;            // nullptr without boxes
  const HeadWindow* device_windows() const;       // nullptr: no head streams
  const HeadPositions* device_positions() const;  // nullptr: the entries of every head stand one after another
  bool has_room(int64_t tokens) const;
  // Changes with everything but grow().
  uint64_t epoch() const { return epoch_; }

 protected:
  std::unique_ptr<KvLayer> empty() const override;
  int64_t roomy(int64_t head, int64_t needed) const override;
  void move_entries(int64_t head, const KvLayer& from, const Entries& entries, int64_t capacity) override;
  void append_entries(const KvLayer& from) override;
  void read_bytes(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const override;
  void write_bytes(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v) override;
  void changed() override;
  void grown() override { lengths_stale_ = true; }

 private:
  struct Head {
    DeviceMemory memory;  // keys, then values: (capacity, head_dim) each
    int64_t capacity = 0;
    HeadMaps maps{};
  };
  Head allocate(int64_t capacity) const;
  HeadKv view(const Head& head) const;
  std::byte* at(bf16* entries, int64_t entry) const;
  size_t entry_bytes(int64_t count) const { return static_cast<size_t>(count) * format().key_bytes(); }
  // Copies what changed to the device. Lengths alone change with every token, and few readers want them.
  void publish(bool lengths) const;
  void publish_positions() const;
  size_t lengths_at() const { return heads_.size() * sizeof(HeadKv); }
  size_t windows_at() const { return lengths_at() + heads_.size() * sizeof(int32_t); }
  size_t maps_at() const {
    return (windows_at() + heads_.size() * sizeof(HeadWindow) + alignof(HeadMaps) - 1) / alignof(HeadMaps) * alignof(HeadMaps);
  }

  std::shared_ptr<DeviceMeter> meter_;
  cudaStream_t stream_;
  std::vector<Head> heads_;
  KeyBoxes boxes_;
  DeviceMemory table_;  // (kv_heads) each of HeadKv, int32 lengths, HeadWindow and, with boxes, HeadMaps
  mutable DeviceMemory positions_;  // (kv_heads) of HeadPositions, then the positions themselves; where they are asked for
  mutable bool stale_ = true, lengths_stale_ = true, positions_stale_ = true;
  uint64_t epoch_ = 0;
};

}  // namespace headzip::cuda
