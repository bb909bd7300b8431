// Loads and logits of the portable path, shared by attention and the reconstruction score.
// A block has kWarps warps; warp w owns rows 16 w .. 16 w + 15 of the tile. Row r is query r / group, head r % group.
#pragma once
#include "mma.cuh"
#include "walk.cuh"

namespace headzip::cuda {

// Copies `rows` rows of `head_dim` values into swizzled shared memory (kRows, D); what is missing becomes zero.
template <int D, int kRows, int kThreads, typename RowAt>
__device__ __forceinline__ void load_rows(bf16* shared, int rows, int head_dim, RowAt row_at) {
  constexpr int kVectors = D / 8;
  for (int i = threadIdx.x; i < kRows * kVectors; i += kThreads) {
    const int row = i / kVectors, vector = i % kVectors;
    const bool valid = row < rows && vector * 8 < head_dim;
    const bf16* from = valid ? row_at(row) + vector * 8 : row_at(0);
    copy_async(shared_address(shared + swizzled<D>(row, vector)), from, valid);
  }
}

template <int D, int kRows, int kThreads>
__device__ __forceinline__ void load_keys(bf16* shared, const bf16* from, int first, int end, int head_dim) {
  load_rows<D, kRows, kThreads>(shared, end - first, head_dim,
                                [=](int row) { return from + static_cast<int64_t>(first + row) * head_dim; });
}

// s (16 rows x kKeys) = q k^T; q and k in swizzled shared memory.
template <int D, int kKeys>
__device__ __forceinline__ void logits(float (&s)[kKeys / 8][4], const bf16* q, const bf16* k) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int n = 0; n < kKeys / 8; ++n) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0;
#pragma unroll
  for (int d = 0; d < D / 16; ++d) {
    uint32_t a[4];
    ldmatrix(a, shared_address(q + swizzled<D>(warp * 16 + lane % 16, d * 2 + lane / 16)));
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      uint32_t b[4];  // keys 16 n .. + 7 and + 8 .. + 15, each for both halves of the depth
      ldmatrix(b, shared_address(k + swizzled<D>(n * 16 + lane % 8 + (lane / 16) * 8, d * 2 + lane / 8 % 2)));
      mma(s[2 * n], a, b[0], b[1]);
      mma(s[2 * n + 1], a, b[2], b[3]);
    }
  }
}

// Masks what a row does not see. `row` is this thread's first row, its second one is row + 8.
template <int kKeys>
__device__ __forceinline__ void mask(float (&s)[kKeys / 8][4], const HeadSegment& seg, int first, int row, int group,
                                     int tile_position, int window) {
  const int lane = threadIdx.x % 32;
  const Visible visible = seg.visible(window);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int position = tile_position + (row + h * 8) / group, low = visible.low(position), high = visible.high(position);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int key = first + n * 8 + (lane % 4) * 2 + c;
        if (key >= high || key < low) s[n][h * 2 + c] = kNone;
      }
  }
}

}  // namespace headzip::cuda
