// Attention of one block of queries of one KV head over KV segments, with the reconstruction score beside it.
//
// The score needs softmax over some segments only. Its log-sum-exp runs along in the same pass; the logits of the scored
// segment are set aside (one tile), and since exp is monotone the maximum over queries is taken on logit - lse: one
// exponential a key, not one a key and query.
#pragma once
#include "micro.h"
#include "softmax.h"
#include "strip.h"

namespace headzip::cpu {
namespace {

constexpr int64_t kKeyBlock = 256;
constexpr int kLds = kKeyBlock + kPanel;  // leading dimension of a tile of logits: off the cache's set stride

HZ_INLINE int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
HZ_INLINE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
HZ_INLINE int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

struct Tile {
  float* q;        // strips of (head_dim, height)
  float* logits;   // (kStrip, kLds): of one strip
  float* p;        // softmax weights, (kStrip, kLds)
  float* o;        // (rows, value_stride)
  float* saved;    // (rows, saved_stride): logits of the scored segment
  float* columns;  // (saved_stride): maximum over rows
  SoftmaxState* attended;
  SoftmaxState* scored;
  int64_t rows, saved_stride;
};

int64_t attention_scratch(int64_t rows, int64_t head_dim, int64_t scored_keys) {
  const int64_t saved = scored_keys > 0 ? round_up(scored_keys, kPanel) + 2 * kPanel : 0;
  const int64_t floats = rows * (head_dim + round_up(head_dim, kPanel) + saved) + 2 * kStrip * kLds + saved;
  return floats * 4 + 2 * rows * static_cast<int64_t>(sizeof(SoftmaxState)) + 9 * 64;
}

Tile lay_out(const AttentionTask& t, void* scratch) {
  char* at = static_cast<char*>(scratch);
  const auto take = [&at](int64_t bytes) {
    void* p = at;
    at += round_up(bytes, 64);
    return p;
  };
  Tile tile{};
  tile.rows = t.queries * t.group;
  for (int64_t s = 0; s < t.segment_count; ++s)
    if (t.segments[s].scored) tile.saved_stride = round_up(t.segments[s].end - t.segments[s].begin, kPanel) + 2 * kPanel;
  tile.q = static_cast<float*>(take(tile.rows * t.head_dim * 4));
  tile.logits = static_cast<float*>(take(kStrip * kLds * 4));
  tile.p = static_cast<float*>(take(kStrip * kLds * 4));
  tile.o = static_cast<float*>(take(tile.rows * t.value_stride * 4));
  tile.saved = static_cast<float*>(take(tile.rows * tile.saved_stride * 4));
  tile.columns = static_cast<float*>(take(tile.saved_stride * 4));
  tile.attended = static_cast<SoftmaxState*>(take(tile.rows * sizeof(SoftmaxState)));
  tile.scored = static_cast<SoftmaxState*>(take(tile.rows * sizeof(SoftmaxState)));
  for (int64_t r = 0; r < tile.rows; ++r) tile.attended[r] = tile.scored[r] = SoftmaxState{};
  memset(tile.o, 0, tile.rows * t.value_stride * 4);
  return tile;
}

void pack_queries(const AttentionTask& t, float* out) {
  const int64_t rows = t.queries * t.group;
  for (int64_t r = 0; r < rows; r += kStrip) {
    const int64_t height = lesser(kStrip, rows - r);
    pack_strip(height, t.head_dim, out, [&](int64_t i) {
      return t.q + (r + i) / t.group * t.q_stride + (r + i) % t.group * t.head_dim;
    });
    out += t.head_dim * height;
  }
}

// First entry of a segment that stands after `position`.
HZ_INLINE int64_t entry_after(const HeadSegment& segment, int64_t position) {
  if (segment.positions == nullptr) return greater(segment.begin, lesser(segment.end, segment.begin + position + 1 - segment.position));
  int64_t low = 0, high = segment.position_count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (segment.positions[middle] <= position) low = middle + 1;
    else high = middle;
  }
  if (low == segment.position_count) low = greater(low, position + 1 - segment.shift);
  return greater(segment.begin, lesser(segment.end, low));
}

// First entry of a segment that the first query sees.
HZ_INLINE int64_t first_seen(const AttentionTask& t, const HeadSegment& segment) {
  return t.window > 0 ? entry_after(segment, t.position - t.window) : segment.begin;
}

// A row's part of the block of keys from entry `base` on.
HZ_INLINE Ahead block_ahead(const AttentionTask& t, int64_t rows, const HeadSegment& segment, int64_t base) {
  const int64_t keys = lesser(kKeyBlock, entry_after(segment, t.position + t.queries - 1) - base);
  if (keys <= 0) return {};
  base = base / kPanel * kPanel;
  return {segment.head.k + base * t.head_dim, segment.head.v + base * t.value_stride,
          round_up((keys * t.value_stride + rows - 1) / rows, kPanel)};
}

// Masks the columns of some rows of logits that are outside [low, high) or, row by row, outside what the row may see.
void mask(const AttentionTask& t, const HeadSegment& segment, int64_t first, int64_t rows, int64_t base, int64_t low,
          int64_t high, int64_t width, float* logits, int64_t stride) {
  const int64_t start = t.position + first / t.group, last = t.position + (first + rows - 1) / t.group;
  const bool causal = entry_after(segment, start) < high;
  const bool windowed = t.window > 0 && entry_after(segment, last - t.window) > low;
  if (!causal && !windowed && low == base && high == base + width) return;
  for (int64_t r = 0; r < rows; ++r) {
    float* row = logits + r * stride;
    const int64_t position = t.position + (first + r) / t.group;
    const int64_t from = windowed ? greater(low, entry_after(segment, position - t.window)) : low;
    for (int64_t j = 0; j < lesser(width, from - base); ++j) row[j] = kNone;
    for (int64_t j = greater(0, lesser(high, entry_after(segment, position)) - base); j < width; ++j) row[j] = kNone;
  }
}

// Strip by strip, so that a strip's logits are still in the L1 cache when they become softmax weights and are multiplied.
void attend_block(const AttentionTask& t, const Tile& tile, const HeadSegment& segment, int64_t base, int64_t low, int64_t high,
                  int64_t saved_at, Ahead ahead) {
  const float* keys = segment.head.k + base * t.head_dim;
  const float* values = segment.head.v + base * t.value_stride;
  const bool in_score = t.scores != nullptr && segment.in_score;
  for (int64_t r = 0; r < tile.rows; r += kStrip) {
    const int64_t height = lesser(kStrip, tile.rows - r);
    // Panels that no row of the strip sees are left out, unless their logits are to be saved.
    int64_t start = low, end = high;
    if (!segment.scored) {
      end = lesser(end, entry_after(segment, t.position + (r + height - 1) / t.group));
      if (t.window > 0) start = greater(start, entry_after(segment, t.position + r / t.group - t.window));
    }
    if (end <= start) continue;
    const int64_t skip = (start - base) / kPanel * kPanel, groups = (end - base - skip + kPanel - 1) / kPanel;
    const int64_t width = groups * kPanel;
    float* logits = segment.scored ? tile.saved + r * tile.saved_stride + saved_at : tile.logits;
    const int64_t stride = segment.scored ? tile.saved_stride : kLds;
    strip_gemm<0>(height, groups, t.head_dim, tile.q + r * t.head_dim, keys + skip * t.head_dim, kPanel,
                     t.head_dim * kPanel, logits, stride, false);
    mask(t, segment, r, height, base + skip, start, end, width, logits, stride);
    for (int64_t i = 0; i < height; ++i, ahead.keys += ahead.count, ahead.values += ahead.count) {
      const float rescale = absorb(t, logits + i * stride, width, in_score, ahead, tile.p + i * kLds,
                                  tile.attended[r + i], tile.scored[r + i]);
      if (rescale == 1.0f) continue;
      float* o = tile.o + (r + i) * t.value_stride;
      for (int64_t d = 0; d < t.value_stride; d += W) store(o + d, load(o + d) * splat(rescale));
    }
    if (t.out == nullptr) continue;
    strip_gemm<kLds>(height, t.value_stride / kPanel, end - base - skip, tile.p, values + skip * t.value_stride,
                        t.value_stride, kPanel, tile.o + r * t.value_stride, t.value_stride, true);
  }
}

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
    const SoftmaxState& stats = tile.scored[r];
    float less = stats.reference + __builtin_log2f(sum(load(stats.sum)));
    overflowed |= less - less != 0.0f;
    if (kWeighted) less += t.row_norms[r / t.group];
    const vf lse = splat(less);
    const float* row = tile.saved + r * tile.saved_stride;
    const float* norms = kWeighted ? t.value_norms + r % t.group * t.value_norm_stride + first : nullptr;
    for (int64_t j = 0; j < filled; j += W) {
      vf x = load(row + j) * by - lse;
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

void attention(const AttentionTask& t, void* scratch) {
  const FlushTiny flush;
  const Tile tile = lay_out(t, scratch);
  pack_queries(t, tile.q);
  const int64_t last_position = t.position + t.queries - 1;
  int64_t filled = 0, scored_first = 0, skip = 0, keys = 0;
  for (int64_t s = 0; s < t.segment_count; ++s) {
    const HeadSegment& segment = t.segments[s];
    if (t.out == nullptr && !segment.in_score) continue;
    const int64_t begin = first_seen(t, segment), end = entry_after(segment, last_position);
    // Under a window tasks begin at different keys: blocks that did, too, would sum a row in an order of the task's own.
    const int64_t whole = t.window > 0 ? kKeyBlock : kPanel, first = begin / whole * whole;
    for (int64_t base = first; base < end; base += kKeyBlock) {
      const bool last = base + kKeyBlock >= end;
      Ahead ahead{};
      if (!last) ahead = block_ahead(t, tile.rows, segment, base + kKeyBlock);
      else if (s + 1 < t.segment_count) ahead = block_ahead(t, tile.rows, t.segments[s + 1], first_seen(t, t.segments[s + 1]));
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
  if (t.lse != nullptr)
    for (int64_t r = 0; r < tile.rows; ++r) t.lse[r] = tile.attended[r].reference + __builtin_log2f(sum(load(tile.attended[r].sum)));
  for (int64_t r = 0; r < tile.rows; ++r) {
    const float inverse = 1.0f / sum(load(tile.attended[r].sum));
    float* out = t.out + r / t.group * t.out_stride + r % t.group * t.head_dim;
    const float* o = tile.o + r * t.value_stride;
    for (int64_t d = 0; d < t.head_dim; ++d) out[d] = o[d] * inverse;
  }
}

}  // namespace
}  // namespace headzip::cpu
