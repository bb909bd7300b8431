// Attention of one block of queries of one KV head over key spans, with the reconstruction score beside it.
//
// The score needs softmax over some spans only. Its log-sum-exp runs along in the same pass; the logits of the scored
// span are set aside (one tile), and since exp is monotone the maximum over queries is taken on logit - lse: one
// exponential a key, not one a key and query.
#pragma once
#include "micro.h"

namespace headzip::cpu {
namespace {

constexpr int64_t kKeyBlock = 256;
constexpr int kLds = kKeyBlock + kPanel;  // leading dimension of a tile of logits: off the cache's set stride

HZ_INLINE int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
HZ_INLINE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
HZ_INLINE int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

constexpr float kNone = -__builtin_inff();

// Running softmax statistics of a row, in base-2 logarithms.
struct RowStats {
  float peak = kNone, total = 0;
};

struct Tile {
  float* q;        // strips of (head_dim, height)
  float* logits;   // (rows, kLds)
  float* o;        // (rows, value_stride)
  float* saved;    // (rows, saved_stride): logits of the scored span
  float* columns;  // (saved_stride): maximum over rows
  RowStats* attended;
  RowStats* scored;
  int64_t rows, saved_stride;
};

int64_t attention_scratch(int64_t rows, int64_t head_dim, int64_t scored_keys) {
  const int64_t saved = scored_keys > 0 ? round_up(scored_keys, kPanel) + 2 * kPanel : 0;
  const int64_t floats = rows * (head_dim + kLds + round_up(head_dim, kPanel) + saved) + saved;
  return floats * 4 + 2 * rows * static_cast<int64_t>(sizeof(RowStats)) + 8 * 64;
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
  for (int64_t s = 0; s < t.span_count; ++s)
    if (t.spans[s].scored) tile.saved_stride = round_up(t.spans[s].end - t.spans[s].begin, kPanel) + 2 * kPanel;
  tile.q = static_cast<float*>(take(tile.rows * t.head_dim * 4));
  tile.logits = static_cast<float*>(take(tile.rows * kLds * 4));
  tile.o = static_cast<float*>(take(tile.rows * t.value_stride * 4));
  tile.saved = static_cast<float*>(take(tile.rows * tile.saved_stride * 4));
  tile.columns = static_cast<float*>(take(tile.saved_stride * 4));
  tile.attended = static_cast<RowStats*>(take(tile.rows * sizeof(RowStats)));
  tile.scored = static_cast<RowStats*>(take(tile.rows * sizeof(RowStats)));
  for (int64_t r = 0; r < tile.rows; ++r) tile.attended[r] = tile.scored[r] = RowStats{};
  memset(tile.o, 0, tile.rows * t.value_stride * 4);
  return tile;
}

void pack_queries(const AttentionTask& t, float* out) {
  const int64_t rows = t.queries * t.group;
  for (int64_t r = 0; r < rows; r += kStrip) {
    const int64_t height = lesser(kStrip, rows - r);
    for (int64_t i = 0; i < height; ++i) {
      const float* q = t.q + (r + i) / t.group * t.q_stride + (r + i) % t.group * t.head_dim;
      for (int64_t d = 0; d < t.head_dim; ++d) out[d * height + i] = q[d];
    }
    out += t.head_dim * height;
  }
}

HZ_INLINE float highest(const float* row, int64_t width) {
  vf top = load(row);
  for (int64_t j = W; j < width; j += W) top = max(top, load(row + j));
  return peak(top);
}

// Moves running statistics to a peak that is at least `reached`; returns the factor that old sums were scaled by.
HZ_INLINE float raise(RowStats& stats, float reached) {
  if (!(reached > stats.peak)) return 1.0f;
  const float factor = at(exp2(splat(stats.peak - reached)), 0);
  stats.peak = reached;
  stats.total *= factor;
  return factor;
}

// Sum of 2^(logit * scale - shift) over a row. With kKeep the row is replaced by those powers.
template <bool kKeep>
HZ_INLINE float powers(float* row, int64_t width, float scale, float shift) {
  const vf by = splat(scale), less = splat(shift);
  vf total = vf{};
  for (int64_t j = 0; j < width; j += W) {
    const vf p = exp2(load(row + j) * by - less);
    if (kKeep) store(row + j, p);
    total += p;
  }
  return sum(total);
}

// A row of logits joins the output's softmax (and becomes its powers) and, where `in_score`, the score's. Returns the
// factor that the row's output must be scaled by.
float absorb(const AttentionTask& t, float* row, int64_t width, bool in_score, RowStats& attended, RowStats& scored) {
  const float top = highest(row, width);
  const float score_top = top * t.score_scale * kLog2e, out_top = top * t.scale * kLog2e;
  if (in_score) raise(scored, score_top);
  if (t.out == nullptr) {
    if (scored.peak != kNone) scored.total += powers<false>(row, width, t.score_scale * kLog2e, scored.peak);
    return 1.0f;
  }
  // One set of powers serves both sums, unless the scales differ or the output's peak lies so far above these logits
  // that what they are to the score would vanish.
  const bool shared = t.scale == t.score_scale && attended.peak - out_top < 40.0f;
  if (in_score && !shared && scored.peak != kNone)
    scored.total += powers<false>(row, width, t.score_scale * kLog2e, scored.peak);
  const float factor = raise(attended, out_top);
  if (attended.peak == kNone) {  // nothing visible yet
    memset(row, 0, width * sizeof(float));
    return 1.0f;
  }
  const float total = powers<true>(row, width, t.scale * kLog2e, attended.peak);
  attended.total += total;
  if (in_score && shared && scored.peak != kNone) scored.total += total * at(exp2(splat(attended.peak - scored.peak)), 0);
  return factor;
}

// First entry of a span that stands after `position`.
HZ_INLINE int64_t entry_after(const SpanView& span, int64_t position) {
  if (span.places == nullptr) return greater(span.begin, lesser(span.end, span.begin + position + 1 - span.position));
  int64_t low = 0, high = span.placed;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (span.places[middle] <= position) low = middle + 1;
    else high = middle;
  }
  if (low == span.placed) low = greater(low, position + 1 - span.shift);
  return greater(span.begin, lesser(span.end, low));
}

// Hides the columns of a tile of logits that are outside [low, high) or, row by row, outside what the row may see.
void mask(const AttentionTask& t, const Tile& tile, const SpanView& span, int64_t base, int64_t low, int64_t high,
          int64_t width) {
  const bool causal = entry_after(span, t.position) < high;
  const bool windowed = t.window > 0 && entry_after(span, t.position + t.queries - 1 - t.window) > low;
  if (!causal && !windowed && low == base && high == base + width) return;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* row = tile.logits + r * kLds;
    const int64_t position = t.position + r / t.group;
    const int64_t first = windowed ? greater(low, entry_after(span, position - t.window)) : low;
    for (int64_t j = 0; j < lesser(width, first - base); ++j) row[j] = kNone;
    for (int64_t j = greater(0, lesser(high, entry_after(span, position)) - base); j < width; ++j) row[j] = kNone;
  }
}

void attend_block(const AttentionTask& t, const Tile& tile, const SpanView& span, int64_t base, int64_t low, int64_t high,
                  int64_t saved_at) {
  const int64_t groups = (high - base + kPanel - 1) / kPanel, width = groups * kPanel;
  const float* keys = span.head.k + base * t.head_dim;
  for (int64_t r = 0; r < tile.rows; r += kStrip)
    strip_product<0>(lesser(kStrip, tile.rows - r), groups, t.head_dim, tile.q + r * t.head_dim, keys, kPanel,
                     t.head_dim * kPanel, tile.logits + r * kLds, kLds, false);
  mask(t, tile, span, base, low, high, width);
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* row = tile.logits + r * kLds;
    if (span.scored) memcpy(tile.saved + r * tile.saved_stride + saved_at, row, width * sizeof(float));
    const float factor = absorb(t, row, width, t.scores != nullptr && span.in_score, tile.attended[r], tile.scored[r]);
    if (t.out == nullptr) continue;
    if (factor == 1.0f) continue;
    float* o = tile.o + r * t.value_stride;
    for (int64_t d = 0; d < t.value_stride; d += W) store(o + d, load(o + d) * splat(factor));
  }
  if (t.out == nullptr) return;
  const float* values = span.head.v + base * t.value_stride;
  for (int64_t r = 0; r < tile.rows; r += kStrip)
    strip_product<kLds>(lesser(kStrip, tile.rows - r), t.value_stride / kPanel, high - base, tile.logits + r * kLds,
                        values, t.value_stride, kPanel, tile.o + r * t.value_stride, t.value_stride, true);
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

// `filled` columns of tile.saved hold logits; the span's first key is column `skip`.
void write_scores(const AttentionTask& t, const Tile& tile, int64_t filled, int64_t skip, int64_t keys) {
  for (int64_t j = 0; j < filled; ++j) tile.columns[j] = kNone;
  const vf by = splat(t.score_scale * kLog2e);
  for (int64_t r = 0; r < tile.rows; ++r) {
    const RowStats& stats = tile.scored[r];
    const vf lse = splat(stats.peak + __builtin_log2f(stats.total));
    const float* row = tile.saved + r * tile.saved_stride;
    for (int64_t j = 0; j < filled; j += W)
      store(tile.columns + j, max(load(tile.columns + j), load(row + j) * by - lse));
  }
  // A probability: rounding must not carry it past 1.
  for (int64_t j = 0; j < filled; j += W) store(tile.columns + j, exp2(min(load(tile.columns + j), vf{})));
  for (int64_t j = skip; j < lesser(filled, skip + keys); ++j) raise_to(t.scores + j - skip, tile.columns[j]);
}

void attention(const AttentionTask& t, void* scratch) {
  const Tile tile = lay_out(t, scratch);
  pack_queries(t, tile.q);
  const int64_t last_position = t.position + t.queries - 1;
  int64_t filled = 0, skip = 0, keys = 0;
  for (int64_t s = 0; s < t.span_count; ++s) {
    const SpanView& span = t.spans[s];
    if (t.out == nullptr && !span.in_score) continue;
    const int64_t begin = t.window > 0 ? entry_after(span, t.position - t.window) : span.begin;
    const int64_t end = entry_after(span, last_position);
    const int64_t first = begin / kPanel * kPanel;
    for (int64_t base = first; base < end; base += kKeyBlock)
      attend_block(t, tile, span, base, greater(base, begin), lesser(base + kKeyBlock, end), base - first);
    if (!span.scored || end <= begin) continue;
    filled = round_up(end - first, kPanel);
    skip = span.begin - first;
    keys = span.end - span.begin;
  }
  if (t.scores != nullptr && filled > 0) write_scores(t, tile, filled, skip, keys);
  if (t.out == nullptr) return;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const float inverse = 1.0f / tile.attended[r].total;
    float* out = t.out + r / t.group * t.out_stride + r % t.group * t.head_dim;
    const float* o = tile.o + r * t.value_stride;
    for (int64_t d = 0; d < t.head_dim; ++d) out[d] = o[d] * inverse;
  }
}

}  // namespace
}  // namespace headzip::cpu
