// What a task of attention works in: queries packed into strips, a strip's logits and weights, each row's output and softmax.
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
  RunningSoftmax* attended;
  RunningSoftmax* scored;
  int64_t rows, saved_stride;
};

int64_t attention_scratch(int64_t rows, int64_t head_dim, int64_t scored_keys) {
  const int64_t saved = scored_keys > 0 ? round_up(scored_keys, kPanel) + 2 * kPanel : 0;
  const int64_t floats = rows * (head_dim + round_up(head_dim, kPanel) + saved) + 2 * kStrip * kLds + saved;
  return floats * 4 + 2 * rows * static_cast<int64_t>(sizeof(RunningSoftmax)) + 9 * 64;
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
  tile.attended = static_cast<RunningSoftmax*>(take(tile.rows * sizeof(RunningSoftmax)));
  tile.scored = static_cast<RunningSoftmax*>(take(tile.rows * sizeof(RunningSoftmax)));
  for (int64_t r = 0; r < tile.rows; ++r) tile.attended[r] = tile.scored[r] = RunningSoftmax{};
  memset(tile.o, 0, tile.rows * t.value_stride * 4);
  return tile;
}

void pack_queries(const AttentionTask& t, float* out) {
  const int64_t rows = t.queries * t.group;
  for (int64_t r = 0; r < rows; r += kStrip) {
    const int64_t height = lesser(kStrip, rows - r);
    pack_strip(height, t.head_dim, out,
               [&](int64_t i) { return t.q + (r + i) / t.group * t.q_stride + (r + i) % t.group * t.head_dim; });
    out += t.head_dim * height;
  }
}

}  // namespace
}  // namespace headzip::cpu
