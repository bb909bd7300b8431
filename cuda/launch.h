// Every kernel the engine launches, by the function that launches it.
#pragma once
#include "types.h"

namespace headzip::cuda {

// Rows of (query, head of group) pairs that one tile of the portable kernels holds.
int portable_attention_rows(int head_dim);
// head_dim up to 256, a multiple of 8.
cudaError_t portable_attention(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                               cudaStream_t stream);
// Raises params.scores (never negative, zero at first) to the maximum over the queries; tiles as above.
cudaError_t reconstruction_score(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                                 cudaStream_t stream);

// The same on compute capability 9.0, head_dim 64, 128 or 256; params and segments carry their tensor maps.
// A tile is `rows` query rows of one head for every block of a cluster (1 or 2 blocks): tiles[i].row counts queries in
// steps of rows * cluster. Sort tiles by falling cost.
struct HopperTiles {
  int rows, keys;  // boxes of the tensor maps: (rows, 64) for q, (keys, 64) for k[0], (keys / 2, 64) for k[1]
};
HopperTiles hopper_attention_tiles(int head_dim);  // rows == 0: no kernel for this head_dim
cudaError_t hopper_attention(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                             int cluster, int sm_count, cudaStream_t stream);
HopperTiles hopper_score_tiles(int head_dim);
cudaError_t hopper_score(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                         int sm_count, cudaStream_t stream);

// cudaErrorNoKernelImageForDevice where this build has no code for the GPU.
cudaError_t find_kernels();

// Activations: bf16, or fp32 where `wide` (the residual stream, whose errors would add up from layer to layer).
struct Values {
  void* data = nullptr;
  bool wide = false;
};

// out (rows, width) = table[ids]
cudaError_t embed(const bf16* table, const int32_t* ids, int64_t rows, int64_t width, Values out, cudaStream_t stream);
// x (count) *= factor
cudaError_t scale(Values x, int64_t count, float factor, cudaStream_t stream);
// out = x / sqrt(mean(x^2) + eps) * (offset + weight), rows of `width`, a multiple of 4; out += that with `add`. out may be
// x without. *flag becomes 1 when a value of x is not finite.
cudaError_t rms_norm(Values x, const bf16* weight, float eps, float offset, bool add, int64_t rows, int64_t width, Values out,
                     int32_t* flag, cudaStream_t stream);
// Rotates value d of every head of (rows, heads, head_dim) against value d + pairs, d < pairs, in place, for positions
// position, position + 1, …; inv_freq (pairs). `adjacent`: value 2d against value 2d + 1 instead. *flag becomes 1
// when a value is not finite.
cudaError_t rope(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position, const float* inv_freq,
                 float scale, bool adjacent, int32_t* flag, cudaStream_t stream);
// Writes (rows, kv_heads * head_dim) keys and values at entry `at` of every head; v == nullptr: keys only.
cudaError_t append_kv(const bf16* k, const bf16* v, int64_t rows, int64_t kv_heads, int64_t head_dim, const HeadKv* heads,
                      const int32_t* lengths, int64_t at, cudaStream_t stream);
// gate = silu(gate) * up
cudaError_t silu_mul(bf16* gate, const bf16* up, int64_t count, cudaStream_t stream);
// gate = gelu(gate) * up, by the approximation with tanh
cudaError_t gelu_tanh_mul(bf16* gate, const bf16* up, int64_t count, cudaStream_t stream);
// out (count, width): row i is row index[i] of x.
cudaError_t gather_rows(const bf16* x, const int32_t* index, int64_t count, int64_t width, bf16* out, cudaStream_t stream);
// Row index[i] of out += weight[i] * row i of x (count, width); no row stands in the index twice.
cudaError_t scatter_add_rows(const bf16* x, const int32_t* index, const float* weight, int64_t count, int64_t width, Values out,
                             cudaStream_t stream);
// x (rows, width) += bias
cudaError_t add_bias(Values x, const bf16* bias, int64_t rows, int64_t width, cudaStream_t stream);
// Weights arrive as they are stored, in `type` (a headzip::StoredType).
cudaError_t convert(const void* in, int type, int64_t count, Values out, cudaStream_t stream);
// out = mean + deviation * a standard normal number of (seed, index): weights for benchmarks.
cudaError_t fill_normal(bf16* out, int64_t count, float mean, float deviation, uint64_t seed, cudaStream_t stream);
// Gathers entries `index` (count) of one head into another buffer.
cudaError_t gather_kv(const HeadKv& from, const int32_t* index, int64_t count, int64_t head_dim, const HeadKv& to,
                      cudaStream_t stream);

}  // namespace headzip::cuda
