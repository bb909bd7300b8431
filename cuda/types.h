// What the launchers of this folder take: raw device pointers, sizes and a stream. No N-API, no ownership.
// Every launcher returns the error of its launch; nothing here prints, waits or ends the process.
#pragma once
#include <cuda_runtime_api.h>
#include <stdint.h>

struct __nv_bfloat16;

namespace headzip::cuda {

using bf16 = __nv_bfloat16;

// One KV head of a layer in device memory; heads of an evicted cache have buffers and lengths of their own.
struct HeadKv {
  bf16* k;  // (length, head_dim), rotated
  bf16* v;  // (length, head_dim)
};

// Keys [begin, end) of every head; key j stands at position + (j - begin). Same meaning as headzip::KeySpan.
struct Segment {
  const HeadKv* heads;  // (kv_heads) on the device
  const int32_t* ends;  // (kv_heads) on the device, where heads end at different entries; nullptr: `end` for all
  int32_t begin, end;
  int32_t position;     // with `ends`: of the last key
  int32_t in_score, scored;
};
constexpr int kMostSegments = 8;

struct AttentionJob {
  const bf16* q;  // (queries, q_stride), heads of head_dim side by side
  bf16* out;      // like q with out_stride
  float* scores;  // (kv_heads, score_stride) or nullptr
  int64_t q_stride, out_stride, score_stride;
  int32_t queries, position, segments;
  Segment segment[kMostSegments];
};

struct AttentionShape {
  int32_t heads, kv_heads, head_dim;
  float scale, score_scale;  // factors on logits
};

// `jobs` and `tiles` are device arrays; tiles[i] = {job, first row of the tile}, rows being (query, head of group) pairs.
struct Tile {
  int32_t job, row;
};

}  // namespace headzip::cuda
