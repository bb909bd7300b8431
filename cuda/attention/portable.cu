// Forward attention on compute capability 8.0 and up: keys and values pass through two stages of shared memory.
#include "../launch.h"
#include "softmax_state.cuh"
#include "tile.cuh"

namespace headzip::cuda {
namespace {

template <int D>
struct Config {
  static constexpr int kWarps = D == 256 ? 4 : 8, kThreads = kWarps * 32, kRows = kWarps * 16, kKeys = 64;
  static constexpr int kStages = D == 256 ? 1 : 2;  // 99 KiB is all that some chips give a block
  static constexpr int kBytes = (kRows + 2 * kStages * kKeys) * D * 2;
};

template <int D>
__global__ void __launch_bounds__(Config<D>::kThreads)
    attention_kernel(const AttentionParams* batch, const Tile* tiles, AttentionShape shape) {
  using C = Config<D>;
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* q = reinterpret_cast<bf16*>(memory);            // (kRows, D)
  bf16* keys = q + C::kRows * D;                        // (kStages, kKeys, D)
  bf16* values = keys + C::kStages * C::kKeys * D;      // (kStages, kKeys, D)

  const Tile tile = tiles[blockIdx.x];
  const AttentionParams& params = batch[tile.index];
  const int kv_head = blockIdx.y, group = shape.heads / shape.kv_heads, head_dim = shape.head_dim;
  const int rows = min(C::kRows, params.queries * group - tile.row);
  const auto query_row = [&](int r) {
    return (tile.row + r) / group * params.q_stride + static_cast<int64_t>(kv_head * group + (tile.row + r) % group) * head_dim;
  };
  const int first_position = params.position + tile.row / group,
            last_position = params.position + (tile.row + rows - 1) / group;
  using Walk = KeyWalk<C::kKeys>;

  load_rows<D, C::kRows, C::kThreads>(q, rows, head_dim, [&](int r) { return params.q + query_row(r); });
  Walk ahead(params, kv_head, first_position, last_position, shape.window, Walk::Which::kAll);
  const auto fetch = [&](int stage) {
    if (!ahead.done()) {
      const HeadSegment& s = ahead.segment();
      load_keys<D, C::kKeys, C::kThreads>(keys + stage * C::kKeys * D, s.k, ahead.first(), s.end, head_dim);
      load_keys<D, C::kKeys, C::kThreads>(values + stage * C::kKeys * D, s.v, ahead.first(), s.end, head_dim);
      ahead.next();
    }
    commit_copies();
  };
  if (C::kStages == 2) fetch(0);

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = tile.row + warp * 16 + lane / 4;
  const float scale = shape.scale * kLog2e;
  float o[D / 8][4] = {};
  SoftmaxState state[2];
  int stage = 0;
  for (Walk walk(params, kv_head, first_position, last_position, shape.window, Walk::Which::kAll); !walk.done(); walk.next()) {
    if (C::kStages == 2) {
      fetch(stage ^ 1);
      wait_copies<1>();
    } else {
      fetch(0);
      wait_copies<0>();
    }
    __syncthreads();
    float s[C::kKeys / 8][4];
    logits<D, C::kKeys>(s, q, keys + stage * C::kKeys * D);
    mask<C::kKeys>(s, walk.segment(), walk.first(), row, group, params.position, shape.window);

    float rescale[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float top = kNone;
#pragma unroll
      for (int n = 0; n < C::kKeys / 8; ++n) top = fmaxf(top, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
      rescale[h] = state[h].raise(fmaxf(state[h].m, row_max(top)), scale);
      const float shift = state[h].shift(scale);
      float sum = 0;
#pragma unroll
      for (int n = 0; n < C::kKeys / 8; ++n)
#pragma unroll
        for (int c = 0; c < 2; ++c) sum += s[n][2 * h + c] = exp2_fast(s[n][2 * h + c] * scale - shift);
      state[h].d = state[h].d * rescale[h] + sum;
    }
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] *= rescale[i / 2];

    const bf16* v = values + stage * C::kKeys * D;
#pragma unroll
    for (int j = 0; j < C::kKeys / 16; ++j) {
      const uint32_t p[4] = {pack(s[2 * j][0], s[2 * j][1]), pack(s[2 * j][2], s[2 * j][3]),
                             pack(s[2 * j + 1][0], s[2 * j + 1][1]), pack(s[2 * j + 1][2], s[2 * j + 1][3])};
#pragma unroll
      for (int n = 0; n < D / 16; ++n) {
        uint32_t b[4];
        ldmatrix_transposed(b, shared_address(v + swizzled<D>(j * 16 + lane % 16, n * 2 + lane / 16)));
        mma(o[2 * n], p, b[0], b[1]);
        mma(o[2 * n + 1], p, b[2], b[3]);
      }
    }
    __syncthreads();  // the stage is overwritten next
    if (C::kStages == 2) stage ^= 1;
  }
  wait_copies<0>();

#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int r = warp * 16 + lane / 4 + h * 8;
    const float sum = row_sum(state[h].d);
    if (r >= rows) continue;
    const float inverse = 1.0f / sum;
    bf16* out = params.out + (tile.row + r) / group * params.out_stride +
                static_cast<int64_t>(kv_head * group + (tile.row + r) % group) * head_dim;
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      const int column = n * 8 + (lane % 4) * 2;
      if (column < head_dim)
        *reinterpret_cast<uint32_t*>(out + column) = pack(o[n][2 * h] * inverse, o[n][2 * h + 1] * inverse);
    }
  }
}

template <int D>
cudaError_t launch(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                   cudaStream_t stream) {
  const cudaError_t set =
      cudaFuncSetAttribute(attention_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, Config<D>::kBytes);
  if (set != cudaSuccess) return set;
  attention_kernel<D>
      <<<dim3(tile_count, shape.kv_heads), Config<D>::kThreads, Config<D>::kBytes, stream>>>(batch, tiles, shape);
  return cudaGetLastError();
}

}  // namespace

int portable_attention_rows(int head_dim) { return head_dim <= 128 ? 128 : 64; }

cudaError_t portable_attention(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                               cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  if (shape.head_dim % 8 != 0 || shape.head_dim > 256) return cudaErrorInvalidValue;
  if (shape.head_dim <= 64) return launch<64>(batch, tiles, tile_count, shape, stream);
  if (shape.head_dim <= 128) return launch<128>(batch, tiles, tile_count, shape, stream);
  return launch<256>(batch, tiles, tile_count, shape, stream);
}

}  // namespace headzip::cuda
