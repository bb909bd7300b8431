// Rows of logits become softmax weights, a block of keys at a time: the softmaxes of the output and of the score.
#pragma once
#include "../softmax_state.h"
#include "vec.h"

namespace headzip::cpu {
namespace {

// A row's SoftmaxState while its keys come block by block: d is a vector's worth of partial sums.
struct RunningSoftmax {
  float m = kNone;
  float d[W] = {};

  HZ_INLINE void add(vf weights) { store(d, load(d) + weights); }
  // Moves m; returns the factor on what was weighed by the old one.
  HZ_INLINE float rescale(float to) {
    const float factor = at(exp2(splat(m - to)), 0);
    m = to;
    store(d, load(d) * splat(factor));
    return factor;
  }
  HZ_INLINE SoftmaxState whole() const { return {m, sum(load(d))}; }
};
// m is a maximum that a row's logits may exceed until some of their weights add up to this: finding out beforehand would
// take a pass of its own, and the weights lose nothing by it.
constexpr float kMaxSum = 0x1p16f;

HZ_INLINE float highest(const float* row, int64_t width) {
  vf top = load(row);
  for (int64_t j = W; j < width; j += W) top = max(top, load(row + j));
  return peak(top);
}

// The part of the next block that a row asks for before it becomes weights. A part a row: all at once they would
// hold up the loads of this block.
struct Ahead {
  const float *keys, *values;
  int64_t count;  // floats of each; 0: nothing
};

// 2^(logit * scale - shift) of a row, added up in W parts; with kKeep they are written to `out`.
template <bool kKeep>
HZ_INLINE vf softmax_weights(const float* row, int64_t width, float scale, float shift, const Ahead& ahead, float* out) {
  for (int64_t i = 0; i < ahead.count; i += kPanel) {
    __builtin_prefetch(ahead.keys + i, 0, 2);
    if (kKeep) __builtin_prefetch(ahead.values + i, 0, 2);
  }
  const vf by = splat(scale), less = splat(shift);
  vf total = vf{};
  for (int64_t j = 0; j < width; j += W) {
    const vf p = exp2(load(row + j) * by - less);
    if (kKeep) store(out + j, p);
    total += p;
  }
  return total;
}

// A row of logits updates a softmax, whose m is raised where it must be: what it weighed is then scaled by `rescale`.
template <bool kKeep>
HZ_INLINE vf update(RunningSoftmax& state, const float* row, int64_t width, float scale, const Ahead& ahead, float* out,
                    float& rescale) {
  vf total{};
  rescale = 1.0f;
  if (state.m != kNone) total = softmax_weights<kKeep>(row, width, scale, state.m, ahead, out);
  if (state.m == kNone || any_above(total, kMaxSum)) {
    const float reached = highest(row, width) * scale;
    if (reached > state.m) rescale = state.rescale(reached);
    if (state.m == kNone) {  // nothing visible yet
      if (kKeep) memset(out, 0, width * sizeof(float));
      return total;
    }
    total = softmax_weights<kKeep>(row, width, scale, state.m, ahead, out);
  }
  state.add(total);
  return total;
}

// A row of logits updates the output's softmax (its weights go to `out`) and, where `in_score`, the score's. Returns the
// rescale that the row's output must be scaled by.
HZ_INLINE float absorb(const AttentionTask& t, const float* row, int64_t width, bool in_score, const Ahead& ahead, float* out,
                       RunningSoftmax& attended, RunningSoftmax& scored) {
  float rescale = 1.0f, unused;
  vf total{};
  if (t.out != nullptr) total = update<true>(attended, row, width, t.scale * kLog2e, ahead, out, rescale);
  if (!in_score) return rescale;
  // One set of weights serves both sums, unless the scales differ or the output's m lies so far above these logits that
  // what they are to the score would vanish.
  if (t.scale == t.score_scale && any_above(total, 0x1p-40f)) {
    if (scored.m != attended.m) scored.rescale(attended.m);
    scored.add(total);
  } else {
    update<false>(scored, row, width, t.score_scale * kLog2e, t.out == nullptr ? ahead : Ahead{}, nullptr, unused);
  }
  return rescale;
}

}  // namespace
}  // namespace headzip::cpu
