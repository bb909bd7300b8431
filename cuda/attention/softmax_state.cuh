// Online softmax: a row's state while its keys come block by block, or split by split.
#pragma once
#include "mma.cuh"

namespace headzip::cuda {

// The largest logit and the sum of 2^(scale * (logit - m)) over the keys so far. In the fragments of an MMA m is the row's,
// and d what this lane's columns add to the row's. A split's state has scale 1: its m is a base-2 logarithm already.
struct alignas(8) SoftmaxState {
  float m = kNone, d = 0;

  // What a logit's exponent is lowered by.
  __device__ __forceinline__ float shift(float scale) const { return m == kNone ? 0.0f : m * scale; }
  // Raises m to `top`, the row's maximum with the new keys; gives the factor on d, and on outputs, of the keys before.
  __device__ __forceinline__ float raise(float top, float scale) {
    const float before = m;
    m = top;
    return exp2_fast(before * scale - shift(scale));
  }
  // Of the whole row: the four lanes that share it add up.
  __device__ __forceinline__ float lse(float scale) const { return m * scale + log2f(row_sum(d)); }
  // A state with scale 1 whose d is the row's.
  __device__ __forceinline__ SoftmaxState of_row(float scale) const { return {m == kNone ? kNone : m * scale, row_sum(d)}; }
};

// Factors on two unnormalised outputs that become one.
struct MergeWeights {
  float mine, other;
  bool seen;  // whether the other has a say
};
// `state` becomes that of both splits' keys. A split of which nothing is seen (d == 0) has no say, whatever else it holds.
__device__ __forceinline__ MergeWeights merge(SoftmaxState& state, const SoftmaxState& other) {
  const bool seen = other.d > 0;
  const float before = state.m;
  state.m = fmaxf(before, seen ? other.m : kNone);
  const float shift = state.shift(1), mine = exp2_fast(before - shift), theirs = seen ? exp2_fast(other.m - shift) : 0.0f;
  state.d = state.d * mine + (seen ? other.d : 0.0f) * theirs;
  return {mine, theirs, seen};
}

}  // namespace headzip::cuda
