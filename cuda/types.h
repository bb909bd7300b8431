// What the launchers of this folder take: raw device pointers, sizes and a stream. No N-API, no ownership.
// Every launcher returns the error of its launch; nothing here prints, waits or ends the process.
#pragma once
#include <cuda_runtime_api.h>
#include <stdint.h>

struct __nv_bfloat16;

namespace headzip::cuda {

using bf16 = __nv_bfloat16;

// A CUtensorMap: how TMA walks one array. Opaque here, so that this header needs no driver API.
struct alignas(128) TensorMap {
  uint64_t words[16];
};

// How the Hopper kernels read one KV head; made for its buffer and capacity.
struct HeadMaps {
  TensorMap k[2], v[2];  // boxes as the forward kernel takes them, alone and in pairs of blocks
  TensorMap score_k;     // and as the score kernel does
};

// One KV head of a layer in device memory; heads of an evicted cache have buffers and lengths of their own.
struct HeadKv {
  bf16* k;  // (length, head_dim), rotated
  bf16* v;  // (length, head_dim)
};

// A streaming head: what stands before `sink` is always seen, the rest while it is among the `recent` latest.
struct HeadWindow {
  int32_t recent;   // 0: all is seen
  int32_t sink;     // a position
  int32_t entries;  // that stand before it: these are the first ones
};

// Positions of a head's entries after some were evicted: positions[i] for the first `count`, then i + shift.
struct HeadPositions {
  const int32_t* positions;  // (count)
  int32_t count, shift;
};

// Keys [begin, end) of every head; key j stands at position + (j - begin). Same meaning as headzip::KvSegment. Tables are
// (kv_heads) on the device.
struct KvSegment {
  const HeadKv* heads;
  const HeadMaps* maps;            // nullptr where the Hopper kernels cannot read them
  const int32_t* ends;             // where heads end at different entries; nullptr: `end` for all
  const HeadWindow* windows;       // nullptr: no head streams
  const HeadPositions* positions;  // nullptr: entries stand one after another
  int32_t begin, end;
  int32_t position;                // with `ends`: of the last key
  int32_t in_score, scored;
};
constexpr int kMaxKvSegments = 8;

struct AttentionParams {
  const bf16* q;  // (queries, q_stride), heads of head_dim side by side
  bf16* out;      // like q with out_stride
  float* scores;  // (kv_heads, score_stride) or nullptr
  // (heads, queries) or nullptr: base-2 log-sum-exp of each query's logits over the keys that are in the score. The
  // Hopper forward kernel leaves it, the score kernel then needs one pass instead of two.
  float* lse;
  int64_t q_stride, out_stride, score_stride;
  int32_t queries, position, segments;
  KvSegment segment[kMaxKvSegments];
  TensorMap q_map;  // (heads, queries, head_dim); for the Hopper kernels
};

struct AttentionShape {
  int32_t heads, kv_heads, head_dim;
  float scale, score_scale;  // factors on logits
  int32_t window;            // a query sees this many keys, itself included; 0: all before it
  // The Hopper kernel goes through one KV head after another, so that the L2 cache serves the blocks on it; else through
  // one tile after another. For tiles of like cost: the chip empties less evenly.
  int32_t by_kv_head = 0;
};

// `batch` and `tiles` are device arrays; tiles[i] = {index into the batch, first row of the tile}, rows being (query, head of group) pairs.
struct Tile {
  int32_t index, row;
};

}  // namespace headzip::cuda
