// From the logits that a task set aside to scores: each key's largest softmax weight among the task's rows.
#pragma once
#include "tile.h"

namespace headzip::cpu {
namespace {

// Values are never negative, so the order of their bits as integers is their own: a maximum that no order of threads
// can change.
void raise_to(float* target, float value) {
  int32_t now, bits;
  memcpy(&bits, &value, 4);
  auto* cell = reinterpret_cast<int32_t*>(target);
  now = __atomic_load_n(cell, __ATOMIC_RELAXED);
  while (bits > now && !__atomic_compare_exchange_n(cell, &now, bits, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

// `filled` columns of tile.saved hold logits, the first of them that of entry `first`; the segment's first key is column `skip`.
template <bool kWeighted>
void write_scores(const AttentionTask& t, const Tile& tile, int64_t first, int64_t filled, int64_t skip, int64_t keys) {
  for (int64_t j = 0; j < filled; ++j) tile.columns[j] = kNone;
  const vf by = splat(t.score_scale * kLog2e);
  bool overflowed = false;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float less = lse(tile.scored[r].whole());
    overflowed |= less - less != 0.0f;
    if (kWeighted) less += t.row_norms[r / t.group];
    const vf below = splat(less);
    const float* row = tile.saved + r * tile.saved_stride;
    const float* norms = kWeighted ? t.value_norms + r % t.group * t.value_norm_stride + first : nullptr;
    for (int64_t j = 0; j < filled; j += W) {
      vf x = load(row + j) * by - below;
      if (kWeighted) x += load(norms + j);
      store(tile.columns + j, max(load(tile.columns + j), x));
    }
  }
  // Unweighted it is a probability: rounding must not carry it past 1.
  for (int64_t j = 0; j < filled; j += W) {
    const vf x = load(tile.columns + j);
    store(tile.columns + j, exp2(kWeighted ? x : min(x, vf{})));
  }
  // A NaN's bits lie above those of all numbers: it stays, and whoever sums the scores up meets it.
  if (overflowed) raise_to(t.scores, __builtin_nanf(""));
  for (int64_t j = skip; j < lesser(filled, skip + keys); ++j) raise_to(t.scores + j - skip, tile.columns[j]);
}

}  // namespace
}  // namespace headzip::cpu
