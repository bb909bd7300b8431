// What the Hopper kernels share: how tiles of keys come in, meet the queries, and are hidden where they must not be seen.
#pragma once
#include "key_tiles.cuh"
#include "mma.cuh"
#include "tma.cuh"
#include "wgmma.cuh"

namespace headzip::cuda {

constexpr int kBoxColumns = 64;  // 128 bytes: the widest box with 128-byte swizzle

// Copies kRows rows of one head into boxes of 64 columns; a cluster's blocks each copy their part and send it to all.
template <int D, int kRows, int kCluster>
__device__ __forceinline__ void load_keys(uint32_t to, const TensorMap* map, int row, int rank, uint32_t barrier) {
  constexpr int kPart = kRows / kCluster;
  static_assert(kRows % (8 * kCluster) == 0, "a part must be whole swizzle atoms");
#pragma unroll
  for (int box = 0; box < D / kBoxColumns; ++box) {
    const uint32_t at = to + box * kRows * 128 + rank * kPart * 128;
    if constexpr (kCluster == 1) load_box(at, map, box * kBoxColumns, row, barrier);
    else load_box_to((1 << kCluster) - 1, at, map, box * kBoxColumns, row + rank * kPart, barrier);
  }
}

// s (64 x kKeys) = q k^T, kept going; `q` is this warpgroup's first row.
template <int D, int kQueries, int kKeys>
__device__ __forceinline__ void issue_logits(float (&s)[kKeys / 2], uint32_t q, uint32_t k) {
  pin(s);
  wgmma_fence();
#pragma unroll
  for (int i = 0; i < D / 16; ++i)
    wgmma_shared(s, depth_major(q + i / 4 * kQueries * 128 + i % 4 * 32), depth_major(k + i / 4 * kKeys * 128 + i % 4 * 32), i > 0);
  wgmma_commit();
}

template <int kKeys>
__device__ __forceinline__ void hide(float (&s)[kKeys / 2], const KeyTile& tile, const Sight& see) {
  const int column = tile.first + threadIdx.x % 4 * 2;
#pragma unroll
  for (int i = 0; i < kKeys / 2; ++i) {
    const int r = i / 2 % 2, entry = column + i / 4 * 8 + i % 2;
    if (entry >= see.high[r] || entry < see.low[r]) s[i] = kNone;
  }
}

}  // namespace headzip::cuda
