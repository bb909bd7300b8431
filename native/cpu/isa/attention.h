// Attention of one block of queries of one KV head over KV segments, with the reconstruction score beside it.
//
// The score needs softmax over some segments only. Its log-sum-exp runs along in the same pass; the logits of the scored
// segment are set aside (one tile), and since exp is monotone the maximum over queries is taken on logit - lse: one
// exponential a key, not one a key and query.
#pragma once
#include "../visible.h"
#include "score.h"
#include "tile.h"

namespace headzip::cpu {
namespace {

// A row's part of the block of keys from entry `base` on.
HZ_INLINE Ahead block_ahead(const AttentionTask& t, int64_t rows, const HeadSegment& segment, int64_t base) {
  const int64_t keys = lesser(kKeyBlock, Visible{segment, t.window}.high(t.position + t.queries - 1) - base);
  if (keys <= 0) return {};
  base = base / kPanel * kPanel;
  return {segment.head.k + base * t.head_dim, segment.head.v + base * t.value_stride,
          round_up((keys * t.value_stride + rows - 1) / rows, kPanel)};
}

// Masks the columns of some rows of logits that are outside [low, high) or, row by row, outside what the row may see.
void mask(const AttentionTask& t, const HeadSegment& segment, int64_t first, int64_t rows, int64_t base, int64_t low,
          int64_t high, int64_t width, float* logits, int64_t stride) {
  const int64_t start = t.position + first / t.group, last = t.position + (first + rows - 1) / t.group;
  const Visible visible{segment, t.window};
  const bool causal = visible.high(start)<high, windowed = visible.low(last)> low;
  if (!causal && !windowed && low == base && high == base + width) return;
  for (int64_t r = 0; r < rows; ++r) {
    float* row = logits + r * stride;
    const int64_t position = t.position + (first + r) / t.group;
    const int64_t from = windowed ? greater(low, visible.low(position)) : low;
    for (int64_t j = 0; j < lesser(width, from - base); ++j) row[j] = kNone;
    for (int64_t j = greater(0, lesser(high, visible.high(position)) - base); j < width; ++j) row[j] = kNone;
  }
}

// Strip by strip, so that a strip's logits are still in the L1 cache when they become softmax weights and are multiplied.
void attend_block(const AttentionTask& t, const Tile& tile, const HeadSegment& segment, int64_t base, int64_t low, int64_t high,
                  int64_t saved_at, Ahead ahead) {
  const float* keys = segment.head.k + base * t.head_dim;
  const float* values = segment.head.v + base * t.value_stride;
  const bool in_score = t.scores != nullptr && segment.in_score;
  const Visible visible{segment, t.window};
  for (int64_t r = 0; r < tile.rows; r += kStrip) {
    const int64_t height = lesser(kStrip, tile.rows - r);
    // Panels that no row of the strip sees are left out, unless their logits are to be saved.
    int64_t start = low, end = high;
    if (!segment.scored) {
      end = lesser(end, visible.high(t.position + (r + height - 1) / t.group));
      start = greater(start, visible.low(t.position + r / t.group));
    }
    if (end <= start) continue;
    const int64_t skip = (start - base) / kPanel * kPanel, groups = (end - base - skip + kPanel - 1) / kPanel;
    const int64_t width = groups * kPanel;
    float* logits = segment.scored ? tile.saved + r * tile.saved_stride + saved_at : tile.logits;
    const int64_t stride = segment.scored ? tile.saved_stride : kLds;
    strip_gemm<0>(height, groups, t.head_dim, tile.q + r * t.head_dim, keys + skip * t.head_dim, kPanel, t.head_dim * kPanel,
                  logits, stride, false);
    mask(t, segment, r, height, base + skip, start, end, width, logits, stride);
    for (int64_t i = 0; i < height; ++i, ahead.keys += ahead.count, ahead.values += ahead.count) {
      const float rescale =
          absorb(t, logits + i * stride, width, in_score, ahead, tile.p + i * kLds, tile.attended[r + i], tile.scored[r + i]);
      if (rescale == 1.0f) continue;
      float* o = tile.o + (r + i) * t.value_stride;
      for (int64_t d = 0; d < t.value_stride; d += W) store(o + d, load(o + d) * splat(rescale));
    }
    if (t.out == nullptr) continue;
    strip_gemm<kLds>(height, t.value_stride / kPanel, end - base - skip, tile.p, values + skip * t.value_stride, t.value_stride,
                     kPanel, tile.o + r * t.value_stride, t.value_stride, true);
  }
}

void attention(const AttentionTask& t, void* scratch) {
  const FlushTiny flush;
  const Tile tile = lay_out(t, scratch);
  pack_queries(t, tile.q);
  const int64_t last_position = t.position + t.queries - 1;
  int64_t filled = 0, scored_first = 0, skip = 0, keys = 0;
  for (int64_t s = 0; s < t.segment_count; ++s) {
    const HeadSegment& segment = t.segments[s];
    if (t.out == nullptr && !segment.in_score) continue;
    const Visible visible{segment, t.window};
    const int64_t begin = visible.low(t.position), end = visible.high(last_position);
    // Under a window tasks begin at different keys: blocks that did, too, would sum a row in an order of the task's own.
    const int64_t whole = t.window > 0 ? kKeyBlock : kPanel, first = begin / whole * whole;
    for (int64_t base = first; base < end; base += kKeyBlock) {
      const bool last = base + kKeyBlock >= end;
      Ahead ahead{};
      if (!last) ahead = block_ahead(t, tile.rows, segment, base + kKeyBlock);
      else if (s + 1 < t.segment_count)
        ahead = block_ahead(t, tile.rows, t.segments[s + 1], Visible{t.segments[s + 1], t.window}.low(t.position));
      attend_block(t, tile, segment, base, greater(base, begin), lesser(base + kKeyBlock, end), base - first, ahead);
    }
    if (!segment.scored || end <= begin) continue;
    filled = round_up(end - first, kPanel);
    scored_first = first;
    skip = segment.begin - first;
    keys = segment.end - segment.begin;
  }
  if (t.scores != nullptr && filled > 0) {
    if (t.value_norms != nullptr) write_scores<true>(t, tile, scored_first, filled, skip, keys);
    else write_scores<false>(t, tile, scored_first, filled, skip, keys);
  }
  if (t.out == nullptr) return;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const SoftmaxState state = tile.attended[r].whole();
    if (t.states != nullptr) t.states[r] = normalised(state);
    const float inverse = 1.0f / state.d;
    float* out = t.out + r / t.group * t.out_stride + r % t.group * t.head_dim;
    const float* o = tile.o + r * t.value_stride;
    for (int64_t d = 0; d < t.head_dim; ++d) out[d] = o[d] * inverse;
  }
}

}  // namespace
}  // namespace headzip::cpu
