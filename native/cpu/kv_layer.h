// Keys and values of one layer in host memory, a buffer a head.
#pragma once
#include <vector>

#include "kernels.h"
#include "memory.h"

namespace headzip::cpu {

class CpuKvLayer final : public KvLayer {
 public:
  CpuKvLayer(std::shared_ptr<Meter> meter, int64_t kv_heads, int64_t head_dim, int64_t capacity);

  size_t allocated_bytes() const override;
  int64_t value_stride() const { return value_stride_; }
  KvHead view(int64_t head) const {
    const Head& h = heads_[static_cast<size_t>(head)];
    return {h.k.data(), h.v.data(), length(head)};
  }
  // Writes one token's key and value (or nullptr) at `at`; lengths are moved by grow() once all are written.
  void put(int64_t head, int64_t at, const float* k, const float* v);

 protected:
  std::unique_ptr<KvLayer> empty() const override;
  int64_t capacity(int64_t head) const override { return heads_.at(static_cast<size_t>(head)).capacity; }
  int64_t roomy(int64_t head, int64_t needed) const override;
  void move_entries(int64_t head, const KvLayer& from, const Entries& entries, int64_t capacity) override;
  void append_entries(const KvLayer& from) override;
  void read_bytes(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const override;
  void write_bytes(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v) override;

 private:
  struct Head {
    Floats k, v;  // (capacity / kPanel, head_dim, kPanel), (capacity, value_stride)
    int64_t capacity = 0;
  };
  Head allocate(int64_t capacity) const;
  float* key(const Head& head, int64_t entry) const;  // its first value; the next one lies kPanel further
  void copy_entry(const Head& from, int64_t a, const Head& to, int64_t b) const;

  std::shared_ptr<Meter> meter_;
  int64_t value_stride_;
  std::vector<Head> heads_;
};

}  // namespace headzip::cpu
