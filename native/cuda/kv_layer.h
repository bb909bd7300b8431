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
  int64_t heads() const override { return kv_heads(); }
  int64_t head_dim() const override { return head_dim_; }
  int64_t length(int64_t head) const override { return lengths_[head]; }
  int64_t position(int64_t head, int64_t index) const override;
  Window window(int64_t head) const override { return heads_[head].window; }
  void set_window(int64_t head, Window window) override;
  void reserve(int64_t tokens) override;
  void retain(int64_t head, std::span<const int64_t> index) override;
  void truncate(int64_t head, int64_t length) override;
  std::unique_ptr<KvLayer> clone() const override;
  std::unique_ptr<KvLayer> gather(std::span<const std::vector<int64_t>> index, int64_t appended) const override;
  void extend(const KvLayer& tail) override;
  void read(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const override;
  void write(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v, const int32_t* positions) override;
  void resize(int64_t head, int64_t length, int64_t appended) override;
  size_t allocated_bytes() const override;
  size_t used_bytes() const override;

  int64_t kv_heads() const { return static_cast<int64_t>(heads_.size()); }
  int64_t capacity(int64_t head) const { return heads_[head].capacity; }
  HeadKv view(int64_t head) const { return view(heads_[head]); }
  // (kv_heads) on the device, brought up to date by the call.
  const HeadKv* device_heads() const;
  const int32_t* device_lengths() const;
  const HeadMaps* device_maps() const;  // nullptr without boxes
  const HeadWindow* device_windows() const;  // nullptr: no head streams
  const HeadPositions* device_positions() const;   // nullptr: the entries of every head stand one after another
  bool streams() const;
  bool has_gaps() const;
  bool uniform() const;  // all heads hold the same number of entries
  bool has_room(int64_t tokens) const;
  void grow(int64_t tokens);
  // Changes with everything but grow().
  uint64_t epoch() const { return epoch_; }

 private:
  struct Head {
    DeviceMemory memory;  // keys, then values: (capacity, head_dim) each
    int64_t capacity = 0;
    HeadMaps maps{};
    std::vector<int32_t> positions;  // of the entries that have been through retain()
    int64_t shift = 0;            // what the index of later ones lags behind their position
    Window window;
  };
  Head allocate(int64_t capacity) const;
  HeadKv view(const Head& head) const;
  std::byte* at(bf16* entries, int64_t entry) const;
  Head pick(int64_t head, std::span<const int64_t> index, int64_t appended) const;
  void check_range(int64_t head, int64_t from, int64_t count) const;
  // Copies what changed to the device. Lengths alone change with every token, and few readers want them.
  void publish(bool lengths) const;
  void publish_positions() const;
  void changed();
  int64_t before(int64_t head, int64_t position) const;  // entries that stand before `position`
  size_t lengths_at() const { return heads_.size() * sizeof(HeadKv); }
  size_t windows_at() const { return lengths_at() + heads_.size() * sizeof(int32_t); }
  size_t maps_at() const { return (windows_at() + heads_.size() * sizeof(HeadWindow) + alignof(HeadMaps) - 1) / alignof(HeadMaps) * alignof(HeadMaps); }

  std::shared_ptr<DeviceMeter> meter_;
  cudaStream_t stream_;
  int64_t head_dim_;
  std::vector<Head> heads_;
  std::vector<int64_t> lengths_;
  KeyBoxes boxes_;
  DeviceMemory table_;  // (kv_heads) each of HeadKv, int32 lengths, HeadWindow and, with boxes, HeadMaps
  mutable DeviceMemory positions_;  // (kv_heads) of HeadPositions, then the positions themselves; where they are asked for
  mutable bool stale_ = true, lengths_stale_ = true, positions_stale_ = true;
  uint64_t epoch_ = 0;
};

}  // namespace headzip::cuda
