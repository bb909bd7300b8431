// Online softmax: a row's state once its keys, or a split of them, are done. Included by the kernels of every instruction
// set, so everything is inlined.
#pragma once
#include "kernels.h"

namespace headzip::cpu {
namespace {

// No logit: its weight is 0.
constexpr float kNone = -__builtin_inff();

// log2 of the sum of 2^logit.
__attribute__((always_inline)) inline float lse(const SoftmaxState& state) { return state.m + __builtin_log2f(state.d); }
// The state that belongs to an output that was divided by d.
__attribute__((always_inline)) inline SoftmaxState normalised(const SoftmaxState& state) { return {lse(state), 1.0f}; }
// Factor on d, and on an output that was not divided by it, when m becomes `m`.
__attribute__((always_inline)) inline float rescale(const SoftmaxState& state, float m) { return __builtin_exp2f(state.m - m); }

// Of the keys of `count` splits, whose states lie `stride` apart.
__attribute__((always_inline)) inline SoftmaxState merge(const SoftmaxState* splits, int64_t count, int64_t stride) {
  SoftmaxState all{splits[0].m, 0};
  for (int64_t i = 0; i < count; ++i)
    if (splits[i * stride].m > all.m) all.m = splits[i * stride].m;
  for (int64_t i = 0; i < count; ++i) all.d += splits[i * stride].d * rescale(splits[i * stride], all.m);
  return all;
}

}  // namespace
}  // namespace headzip::cpu
