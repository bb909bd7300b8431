// Keys and values of one layer in host memory, a buffer a head.
#pragma once
#include <vector>

#include "kernels.h"
#include "memory.h"

namespace headzip::cpu {

class CpuKvLayer final : public KvLayer {
 public:
  CpuKvLayer(std::shared_ptr<Meter> meter, int64_t kv_heads, int64_t head_dim, int64_t capacity);

  int64_t heads() const override { return kv_heads(); }
  int64_t head_dim() const override { return head_dim_; }
  int64_t length(int64_t head) const override { return heads_[head].length; }
  Window window(int64_t head) const override { return heads_[head].window; }
  void set_window(int64_t head, Window window) override { heads_.at(head).window = window; }
  int64_t position(int64_t head, int64_t index) const override;
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
  int64_t value_stride() const { return value_stride_; }
  KvHead view(int64_t head) const { return {heads_[head].k.data(), heads_[head].v.data(), heads_[head].length}; }
  // Positions of the entries that have been through retain(), and what the index of later ones lags behind their position.
  std::span<const int32_t> positions(int64_t head) const { return heads_[head].positions; }
  int64_t shift(int64_t head) const { return heads_[head].shift; }
  // Entries that stand before `position`.
  int64_t before(int64_t head, int64_t position) const;
  // Writes one token's key and value at `at`; lengths are moved by `grow` once all are written.
  void put(int64_t head, int64_t at, const float* key, const float* value);
  void grow(int64_t tokens);

 private:
  struct Head {
    Floats k, v;
    int64_t length = 0, capacity = 0;
    Window window;
    std::vector<int32_t> positions;
    int64_t shift = 0;
  };
  void allocate(Head& head, int64_t capacity) const;
  Head pick(int64_t head, std::span<const int64_t> index, int64_t appended) const;
  void check_range(int64_t head, int64_t from, int64_t count) const;
  void copy_token(const Head& from, int64_t a, const Head& to, int64_t b) const;

  std::shared_ptr<Meter> meter_;
  int64_t head_dim_, value_stride_;
  std::vector<Head> heads_;
};

}  // namespace headzip::cpu
