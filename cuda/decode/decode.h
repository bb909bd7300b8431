// What a step of decoding launches: kernels over a few rows, whose time is that of the bytes they read.
#pragma once
#include "../launch.h"

namespace headzip::cuda {

// How the keys of a segment, all heads' from entry 0 on, are cut: into splits of `chunk` keys, one block each.
struct SplitPlan {
  int32_t chunk, splits;  // splits of all heads; without `ends` as many for each head, room to grow included
};

struct DecodeParams {
  const bf16* q;  // (queries, q_stride), heads of head_dim side by side, rotated
  bf16* out;      // like q
  int32_t queries, position, segments;
  KvSegment segment[2];
  SplitPlan plan[2];
};

constexpr int kMaxDecodeBatch = 8;
constexpr int kDecodeRows = 16;  // (query, head of group) pairs of a tile

struct DecodeLaunch {
  AttentionShape shape;
  int64_t stride;          // from one query to the next, in q and out
  float* scratch;          // decode_scratch() bytes, 16-byte aligned
  const int32_t* advance;  // steps since `position` and `end` (of segments without `ends`) were true; nullptr: none
  int32_t batch;
  DecodeParams params[kMaxDecodeBatch];
};

// Blocks of decode_attention() that an SM holds at the same time.
int decode_blocks_per_sm(int head_dim);
// Keys a split so that heads of these lengths make at most `blocks` splits, or a few more where heads are many.
int decode_chunk(const int32_t* lengths, int kv_heads, int blocks);
int decode_splits(const int32_t* lengths, int kv_heads, int chunk);
size_t decode_scratch(const DecodeLaunch& launch);
// out = softmax(q k^T) v. A split at a time, then the splits of a row in the order they lie in: the same bits every run.
// head_dim up to 256, a multiple of 8.
cudaError_t decode_attention(const DecodeLaunch& launch, cudaStream_t stream);

// y (rows, out) (+)= x (rows, in) w^T (out, in) (+ bias), fp32 accumulation, for up to kMostGemvRows rows; `in` a multiple of 8.
constexpr int kMostGemvRows = 8, kMaxGemvOutputs = 3;
struct GemvOutput {
  const bf16* w;  // (out, in)
  const bf16* bias;  // (out) or nullptr
  Values y;
  int64_t out;
  bool add;
};
enum class Gate { kNone, kSilu, kGeluTanh };
struct Gemv {
  const bf16* x;
  int32_t rows, in, outputs;
  GemvOutput output[kMaxGemvOutputs];
  Gate gate;  // other than kNone: two outputs of one size, and output[0].y = gate(first GEMV) * second GEMV, in bf16
};
cudaError_t gemv(const Gemv& gemv, cudaStream_t stream);

// Rotates the heads of q in place and writes the rotated keys, with their values, behind what the cache holds. `rows`
// tokens that stand at position + advance, … *flag becomes 1 when a value of q or k is not finite.
struct RopeAppend {
  bf16* q;  // (rows, heads * head_dim) or nullptr
  const bf16* k;  // (rows, kv_heads * head_dim)
  const bf16* v;  // like k or nullptr
  int32_t rows, heads, kv_heads, head_dim, pairs, position;
  const float* inv_freq;  // (pairs)
  float scale;
  bool adjacent;
  const HeadKv* kv;  // (kv_heads) on the device
  const int32_t* lengths;  // (kv_heads) on the device, or nullptr: `length` for all
  int32_t length;
  const int32_t* advance;  // added to position and length; or nullptr
  int32_t* flag;
};
cudaError_t rope_append(const RopeAppend& params, cudaStream_t stream);

// keys[row]: the largest of x (rows, width), its lowest index, as a key that orders values and then indices. A number that
// is not finite wins. argmax_of() reads a key.
cudaError_t argmax(const float* x, int64_t rows, int64_t width, uint64_t* keys, cudaStream_t stream);
struct ArgmaxResult {
  int32_t index;
  float value;
};
ArgmaxResult argmax_of(uint64_t key);
// Whether kernels of a step may start while the one before still runs, where the GPU can. They may, until told otherwise.
void overlap_steps(bool wanted);
// *counter += 1
cudaError_t advance(int32_t* counter, cudaStream_t stream);

}  // namespace headzip::cuda
