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

// What the producer says of a tile, left in shared memory beside it. The barriers of the tile order all accesses; they are
// atomic all the same, since racecheck does not know barriers that are written in PTX.
struct TileInfo {
  unsigned long long range;  // first, end; this and shift are there with kMask only
  int shift;
  uint32_t flags;
};
__device__ __forceinline__ void store(TileInfo& info, const KeyTile& tile) {
  if (tile.flags & KeyTile::kMask) {
    atomicExch(&info.range,
               static_cast<unsigned long long>(static_cast<uint32_t>(tile.end)) << 32 | static_cast<uint32_t>(tile.first));
    atomicExch(&info.shift, tile.shift);
  }
  atomicExch(&info.flags, tile.flags);
}
// By a whole warp: one lane reads for all.
__device__ __forceinline__ void load(TileInfo& info, KeyTile& tile) {
  const bool reads = threadIdx.x % 32 == 0;
  tile.flags = __shfl_sync(~0u, reads ? atomicOr(&info.flags, 0u) : 0u, 0);
  if (!(tile.flags & KeyTile::kMask)) return;
  const unsigned long long range = __shfl_sync(~0u, reads ? atomicOr(&info.range, 0ull) : 0ull, 0);
  tile.first = static_cast<int>(range);
  tile.end = static_cast<int>(range >> 32);
  tile.shift = __shfl_sync(~0u, reads ? atomicOr(&info.shift, 0) : 0, 0);
}

// s (64 x kKeys) = q k^T, kept going; `q` is this warpgroup's first row.
template <int D, int kQueries, int kKeys>
__device__ __forceinline__ void issue_logits(float (&s)[kKeys / 2], uint32_t q, uint32_t k) {
  pin(s);
  wgmma_fence();
#pragma unroll
  for (int i = 0; i < D / 16; ++i)
    wgmma_shared(s, depth_major(q + i / 4 * kQueries * 128 + i % 4 * 32), depth_major(k + i / 4 * kKeys * 128 + i % 4 * 32),
                 i > 0);
  wgmma_commit();
}

// `position` is that of the warpgroup's first row, `row` the thread's first in it.
template <int kKeys>
__device__ __forceinline__ void apply_mask(float (&s)[kKeys / 2], const KeyTile& tile, int position, int row, int window) {
  if (!(tile.flags & KeyTile::kMask) || !needs_mask<kKeys, 64>(tile, position, window)) return;
  const Visible visible = tile.visible(window);
  const int low[2] = {visible.low(position + row), visible.low(position + row + 8)};
  const int high[2] = {visible.high(position + row), visible.high(position + row + 8)};
  const int column = tile.first + threadIdx.x % 4 * 2;
#pragma unroll
  for (int i = 0; i < kKeys / 2; ++i) {
    const int r = i / 2 % 2, entry = column + i / 4 * 8 + i % 2;
    if (entry >= high[r] || entry < low[r]) s[i] = kNone;
  }
}

}  // namespace headzip::cuda
