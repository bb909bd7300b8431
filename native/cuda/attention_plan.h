// How attention calls become launches: which segments are one, which tiles there are and in which order, and the tables that
// upload them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../../cuda/types.h"

namespace headzip::cuda {

// Segments that go on where the one before ends are one to the forward pass, which does not tell scored keys apart (but
// meets those in the score first, when it is to leave their log-sum-exp).
void merge_segments(AttentionParams& params);

// Tiles of `rows` query rows of everything in the batch, the costliest first, so that the chip empties evenly. The portable kernels count
// `rows_a_query` rows a query.
std::vector<Tile> tiles_of(const std::vector<AttentionParams>& batch, int64_t rows, int64_t rows_a_query);

// How the Hopper kernel should go about this batch, by what was measured on an H100 (bench/gpu).
struct Schedule {
  int cluster;  // blocks that share tiles of keys
  bool by_kv_head;  // AttentionShape::by_kv_head
};
Schedule schedule_of(const std::vector<AttentionParams>& batch, int64_t head_dim);

// Tables for the device, one after another in one image, so that one copy uploads them.
class Image {
 public:
  template <typename T>
  size_t add(const std::vector<T>& table) {
    const size_t at = (bytes_.size() + alignof(T) - 1) / alignof(T) * alignof(T);
    bytes_.resize(at + table.size() * sizeof(T));
    std::memcpy(bytes_.data() + at, table.data(), table.size() * sizeof(T));
    return at;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace headzip::cuda
