// Splits of keys, which the attention of a step is cut into, and where their unnormalised outputs are left for the kernel that merges them.
#pragma once
#include <algorithm>

#include "../attention/softmax_state.cuh"
#include "decode.h"

namespace headzip::cuda {

// How far a launch reaches in each direction, over its whole batch.
struct Extent {
  int tiles = 0, queries = 0, splits = 0;
};
// Merges what attention left in launch.scratch to the outputs.
cudaError_t merge_splits(const DecodeLaunch& launch, const Extent& extent, cudaStream_t stream);

namespace {

inline int padded(int head_dim) { return head_dim <= 64 ? 64 : head_dim <= 128 ? 128 : 256; }

__device__ __forceinline__ int splits_of(int length, int chunk) { return (length + chunk - 1) / chunk; }

// Unnormalised outputs of one split: (splits of a launch) x (kDecodeRows, D) in fp32, then as many (kDecodeRows) states, of
// scale 1 and of whole rows.
struct Scratch {
  float* partial_out;
  SoftmaxState* states;
};
template <int D>
__host__ __device__ Scratch scratch_of(float* memory, int64_t splits) {
  return {memory, reinterpret_cast<SoftmaxState*>(memory + splits * kDecodeRows * D)};
}

}  // namespace
}  // namespace headzip::cuda
