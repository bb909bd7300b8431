// The reconstruction score: softmax over the keys [prefix | chunk | self] alone, maximum over queries and over the query
// heads of the group. Two short passes a tile of queries; no probability ever reaches memory.
#include "../attention/softmax_state.cuh"
#include "../attention/tile.cuh"
#include "../launch.h"

namespace headzip::cuda {
namespace {

template <int D>
struct Config {
  static constexpr int kWarps = D == 256 ? 4 : 8, kThreads = kWarps * 32, kRows = kWarps * 16, kKeys = 64;
  static constexpr int kStages = 2;
  static constexpr int kBytes = (kRows + kStages * kKeys) * D * 2;
};

// The keys of a walk, one stage ahead of their use.
template <int D>
class KeyStream {
 public:
  using C = Config<D>;
  using Walk = KeyWalk<C::kKeys>;
  __device__ KeyStream(const Walk& walk, bf16* keys, int head_dim)
      : now_(walk), ahead_(walk), keys_(keys), head_dim_(head_dim) {
    fetch(0);
  }
  __device__ bool done() const { return now_.done(); }
  __device__ const Walk& walk() const { return now_; }
  // Waits for the current block's keys and starts on the next one's.
  __device__ const bf16* wait() {
    fetch(stage_ ^ 1);
    wait_copies<1>();
    __syncthreads();
    return keys_ + stage_ * C::kKeys * D;
  }
  __device__ void next() {
    __syncthreads();
    stage_ ^= 1;
    now_.next();
  }

 private:
  __device__ void fetch(int stage) {
    if (!ahead_.done()) {
      load_keys<D, C::kKeys, C::kThreads>(keys_ + stage * C::kKeys * D, ahead_.segment().k, ahead_.first(),
                                          ahead_.segment().end, head_dim_);
      ahead_.next();
    }
    commit_copies();
  }
  Walk now_, ahead_;
  bf16* keys_;
  int head_dim_, stage_ = 0;
};

template <int D>
__global__ void __launch_bounds__(Config<D>::kThreads)
    score_kernel(const AttentionParams* batch, const Tile* tiles, AttentionShape shape) {
  using C = Config<D>;
  using Which = typename KeyWalk<C::kKeys>::Which;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ float columns[C::kWarps][C::kKeys];
  bf16* q = reinterpret_cast<bf16*>(memory);  // (kRows, D)
  bf16* keys = q + C::kRows * D;              // (kStages, kKeys, D)

  const Tile tile = tiles[blockIdx.x];
  const AttentionParams& params = batch[tile.index];
  const int kv_head = blockIdx.y, group = shape.heads / shape.kv_heads;
  const int rows = min(C::kRows, params.queries * group - tile.row);
  const int first_position = params.position + tile.row / group,
            last_position = params.position + (tile.row + rows - 1) / group;
  const auto keys_of = [&](Which which) {
    return KeyStream<D>(KeyWalk<C::kKeys>(params, kv_head, first_position, last_position, shape.window, which), keys,
                        shape.head_dim);
  };
  load_rows<D, C::kRows, C::kThreads>(q, rows, shape.head_dim, [&](int r) {
    return params.q + (tile.row + r) / group * params.q_stride +
           static_cast<int64_t>(kv_head * group + (tile.row + r) % group) * shape.head_dim;
  });

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = tile.row + warp * 16 + lane / 4;
  const float scale = shape.score_scale * kLog2e;
  SoftmaxState state[2];
  float s[C::kKeys / 8][4];
  for (KeyStream<D> in = keys_of(Which::kInScore); !in.done(); in.next()) {
    logits<D, C::kKeys>(s, q, in.wait());
    mask<C::kKeys>(s, in.walk().segment(), in.walk().first(), row, group, params.position, shape.window);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float top = state[h].m;
#pragma unroll
      for (int n = 0; n < C::kKeys / 8; ++n) top = fmaxf(top, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
      state[h].d *= state[h].raise(row_max(top), scale);
      const float shift = state[h].shift(scale);
#pragma unroll
      for (int n = 0; n < C::kKeys / 8; ++n)
        state[h].d += exp2_fast(s[n][2 * h] * scale - shift) + exp2_fast(s[n][2 * h + 1] * scale - shift);
    }
  }
  float lse[2];  // base 2; rows past the tile get no say
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float whole = state[h].lse(scale);
    lse[h] = INFINITY;
    if (warp * 16 + lane / 4 + h * 8 >= rows) continue;
    lse[h] = whole;
    if (!isfinite(lse[h])) spoil(params.scores + kv_head * params.score_stride);
  }
  wait_copies<0>();
  __syncthreads();

  for (KeyStream<D> in = keys_of(Which::kScored); !in.done(); in.next()) {
    logits<D, C::kKeys>(s, q, in.wait());
    const HeadSegment& segment = in.walk().segment();
    mask<C::kKeys>(s, segment, in.walk().first(), row, group, params.position, shape.window);
#pragma unroll
    for (int n = 0; n < C::kKeys / 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        // exp is monotone: the maximum over queries is taken on its argument
        float best = fmaxf(s[n][c] * scale - lse[0], s[n][2 + c] * scale - lse[1]);
        best = fmaxf(best, __shfl_xor_sync(~0u, best, 4));
        best = fmaxf(best, __shfl_xor_sync(~0u, best, 8));
        best = fmaxf(best, __shfl_xor_sync(~0u, best, 16));
        if (lane < 4) columns[warp][n * 8 + lane * 2 + c] = best;
      }
    __syncthreads();
    const int key = in.walk().first() + static_cast<int>(threadIdx.x);
    if (threadIdx.x < C::kKeys && key < segment.end) {
      float best = kNone;
#pragma unroll
      for (int w = 0; w < C::kWarps; ++w) best = fmaxf(best, columns[w][threadIdx.x]);
      // Never negative, so the order of the bits is the order of the numbers; a maximum that no order of blocks changes.
      const float score = fminf(exp2f(best), 1.0f);
      atomicMax(reinterpret_cast<int*>(params.scores + kv_head * params.score_stride + key - segment.begin),
                __float_as_int(score));
    }
  }
  wait_copies<0>();
}

template <int D>
cudaError_t launch(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                   cudaStream_t stream) {
  const cudaError_t set = cudaFuncSetAttribute(score_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, Config<D>::kBytes);
  if (set != cudaSuccess) return set;
  score_kernel<D><<<dim3(tile_count, shape.kv_heads), Config<D>::kThreads, Config<D>::kBytes, stream>>>(batch, tiles, shape);
  return cudaGetLastError();
}

}  // namespace

cudaError_t reconstruction_score(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                                 cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  if (shape.head_dim % 8 != 0 || shape.head_dim > 256) return cudaErrorInvalidValue;
  if (shape.head_dim <= 64) return launch<64>(batch, tiles, tile_count, shape, stream);
  if (shape.head_dim <= 128) return launch<128>(batch, tiles, tile_count, shape, stream);
  return launch<256>(batch, tiles, tile_count, shape, stream);
}

}  // namespace headzip::cuda
