// The reconstruction score on Hopper (sm_90a): the two passes of score.cu with warpgroup MMAs. A producer warpgroup
// feeds tiles of K, first those of [prefix | chunk | self], unless the forward pass left their log-sum-exp, then the chunk's; two consumer warpgroups own 64 query rows
// of one head each and take turns on the tensor cores by themselves.
#include <algorithm>

#include "../attention/hopper.cuh"
#include "../attention/softmax_state.cuh"
#include "../launch.h"

namespace headzip::cuda {
namespace {

constexpr int kConsumers = 2, kThreads = (kConsumers + 1) * 128, kRows = kConsumers * 64, kKeys = 128;

template <int D>
struct Shape {
  static constexpr int kStages = D == 256 ? 2 : 3;
  static constexpr int kQueryBytes = kRows * D * 2, kKeyBytes = kKeys * D * 2,
                       kBytes = kQueryBytes + kStages * kKeyBytes + 1024;
};

template <int D>
struct Signals {
  uint64_t q_full, q_empty, k_full[Shape<D>::kStages], k_empty[Shape<D>::kStages];
  TileInfo info[Shape<D>::kStages];
};

struct Item {
  int index, head, row;
};
__device__ __forceinline__ bool item_at(int round, const Tile* tiles, int tile_count, int heads, Item& item) {
  const int at = item_of_round(round, blockIdx.x, gridDim.x);
  if (at >= tile_count * heads) return false;
  item = {tiles[at / heads].index, at % heads, tiles[at / heads].row};
  return true;
}

template <int D>
__device__ __forceinline__ void produce(const AttentionParams* batch, const Tile* tiles, int tile_count,
                                        const AttentionShape& shape, Signals<D>& signals, uint32_t q, uint32_t k) {
  using S = Shape<D>;
  using Tiles = KeyTiles<kKeys>;
  int count = 0;
  Item item;
  for (int round = 0; item_at(round, tiles, tile_count, shape.heads, item); ++round) {
    const AttentionParams& params = batch[item.index];
    const uint32_t q_full = shared_address(&signals.q_full);
    acquire_map(&params.q_map);
    barrier_wait(shared_address(&signals.q_empty), (round & 1) ^ 1);
    barrier_expect(q_full, S::kQueryBytes);
#pragma unroll
    for (int box = 0; box < D / kBoxColumns; ++box)
      load_box(q + box * kRows * 128, &params.q_map, box * kBoxColumns, item.row, item.head, q_full);
    const int first = params.position + item.row, last = params.position + min(item.row + kRows, params.queries) - 1;
    for (const auto which : {Tiles::Which::kInScore, Tiles::Which::kScored}) {
      if (which == Tiles::Which::kInScore && params.lse != nullptr) continue;  // the forward pass left them
      Tiles walk(params, item.head / (shape.heads / shape.kv_heads), first, last, shape.window, which);
      const HeadMaps* known = nullptr;
      do {
        const int stage = count % S::kStages;
        const HeadMaps* maps = walk.maps();
        if (maps != known) acquire_map(&maps->score_k);
        known = maps;
        const uint32_t k_full = shared_address(&signals.k_full[stage]);
        barrier_wait(shared_address(&signals.k_empty[stage]), (count / S::kStages & 1) ^ 1);
        KeyTile tile = walk.tile();
        tile.flags |= KeyTile::kMask;  // raising needs to know where the tile lies
        store(signals.info[stage], tile);
        barrier_expect(k_full, S::kKeyBytes);
        load_keys<D, kKeys, 1>(k + stage * S::kKeyBytes, &maps->score_k, walk.first(), 0, k_full);
        ++count;
        if (!walk.done()) walk.next();
      } while (!walk.done());
    }
  }
}

__device__ __forceinline__ void add_to_softmax(const float (&s)[kKeys / 2], SoftmaxState (&state)[2], float scale) {
  float top[2] = {state[0].m, state[1].m};
#pragma unroll
  for (int i = 0; i < kKeys / 2; ++i) top[i / 2 % 2] = fmaxf(top[i / 2 % 2], s[i]);
  float shift[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    state[r].d *= state[r].raise(row_max(top[r]), scale);
    shift[r] = state[r].shift(scale);
  }
#pragma unroll
  for (int i = 0; i < kKeys / 2; ++i) state[i / 2 % 2].d += exp2_fast(s[i] * scale - shift[i / 2 % 2]);
}

// Maxima over the eight lanes that hold other rows of the same columns. At each step a lane gives half of its columns
// away, so that in the end each holds four: entries 0 .. 3 are those from `first_kept` on.
template <int kHalf>
__device__ __forceinline__ void fold(float (&best)[32], int lane_bit) {
  const bool upper = (threadIdx.x & lane_bit) != 0;
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    const float keep = upper ? best[kHalf + i] : best[i], give = upper ? best[i] : best[kHalf + i];
    best[i] = fmaxf(keep, __shfl_xor_sync(~0u, give, lane_bit));
  }
}
__device__ __forceinline__ int first_kept(int lane) { return lane / 16 * 16 + lane / 8 % 2 * 8 + lane / 4 % 2 * 4; }

// Raises the scores of a tile's keys. Column v of a lane is key v / 2 * 8 + lane % 4 * 2 + v % 2 of the tile.
__device__ __forceinline__ void raise_scores(const float (&s)[kKeys / 2], const float (&lse)[2], float scale,
                                             const KeyTile& tile, float* scores) {
  float best[32];
#pragma unroll
  for (int v = 0; v < 32; ++v)  // exp is monotone: the maximum over queries is taken on its argument
    best[v] = fmaxf(s[v / 2 * 4 + v % 2] * scale - lse[0], s[v / 2 * 4 + 2 + v % 2] * scale - lse[1]);
  fold<16>(best, 16);
  fold<8>(best, 8);
  fold<4>(best, 4);
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int v = first_kept(lane) + i, key = tile.first + v / 2 * 8 + lane % 4 * 2 + v % 2;
    // Never negative, so the order of the bits is the order of the numbers; a maximum that no order of blocks changes.
    if (key < tile.end) atomicMax(reinterpret_cast<int*>(scores + key), __float_as_int(fminf(exp2f(best[i]), 1.0f)));
  }
}

template <int D>
__device__ __forceinline__ void consume(const AttentionParams* batch, const Tile* tiles, int tile_count,
                                        const AttentionShape& shape, Signals<D>& signals, uint32_t q, uint32_t k) {
  using S = Shape<D>;
  const int consumer = threadIdx.x / 128 - 1, lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane / 4;
  const float scale = shape.score_scale * kLog2e;
  float s[kKeys / 2];
  int count = 0;
  KeyTile tile{};
  const auto logits = [&](int position) {
    const int stage = count % S::kStages;
    barrier_wait(shared_address(&signals.k_full[stage]), count / S::kStages & 1);
    issue_logits<D, kRows, kKeys>(s, q + consumer * 64 * 128, k + stage * S::kKeyBytes);
    load(signals.info[stage], tile);
    wgmma_wait<0>();
    pin(s);
    if (lane == 0) barrier_arrive(shared_address(&signals.k_empty[stage]));  // each warp has read the info itself
    ++count;
    apply_mask<kKeys>(s, tile, position, row, shape.window);
  };
  Item item;
  for (int round = 0; item_at(round, tiles, tile_count, shape.heads, item); ++round) {
    const AttentionParams& params = batch[item.index];
    const int position = params.position + item.row + consumer * 64;
    int begin = 0;  // of the scored segment: its scores start at index 0
    for (int i = 0; i < params.segments; ++i)
      if (params.segment[i].scored) begin = params.segment[i].begin;
    float* scores = params.scores + item.head / (shape.heads / shape.kv_heads) * params.score_stride - begin;
    SoftmaxState state[2];
    float lse[2];
    barrier_wait(shared_address(&signals.q_full), round & 1);
    if (params.lse == nullptr) {
      do {
        logits(position);
        add_to_softmax(s, state, scale);
      } while (!(tile.flags & KeyTile::kLast));
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {  // base 2; rows past the end get no say
      const int query = item.row + consumer * 64 + row + 8 * r;
      const float whole = state[r].lse(scale);
      if (query >= params.queries) lse[r] = INFINITY;
      else lse[r] = params.lse == nullptr ? whole : params.lse[item.head * params.queries + query];
      if (query < params.queries && !isfinite(lse[r])) spoil(scores + begin);
    }
    do {
      logits(position);
      raise_scores(s, lse, scale, tile, scores);
    } while (!(tile.flags & KeyTile::kLast));
    if (threadIdx.x % 128 == 0) barrier_arrive(shared_address(&signals.q_empty));
  }
}

template <int D>
__global__ void __launch_bounds__(kThreads, 1)
    hopper_score_kernel(const AttentionParams* batch, const Tile* tiles, int tile_count, AttentionShape shape) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Shape<D>;
  extern __shared__ unsigned char memory[];
  __shared__ Signals<D> signals;
  const uint32_t q = (shared_address(memory) + 1023) & ~1023u;  // (kRows, D), in boxes of 64 columns
  const uint32_t k = q + S::kQueryBytes;  // (kStages, kKeys, D)
  if (threadIdx.x == 0) {
    barrier_init(shared_address(&signals.q_full), 1);
    barrier_init(shared_address(&signals.q_empty), kConsumers);
    for (int stage = 0; stage < S::kStages; ++stage) {
      barrier_init(shared_address(&signals.k_full[stage]), 1);
      barrier_init(shared_address(&signals.k_empty[stage]), 4 * kConsumers);
    }
    barrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    if (threadIdx.x == 0) produce<D>(batch, tiles, tile_count, shape, signals, q, k);
  } else {
    consume<D>(batch, tiles, tile_count, shape, signals, q, k);
  }
#endif
}

template <int D>
cudaError_t launch(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape, int sm_count,
                   cudaStream_t stream) {
  const cudaError_t set =
      cudaFuncSetAttribute(hopper_score_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape<D>::kBytes);
  if (set != cudaSuccess) return set;
  const int blocks = std::min(tile_count * shape.heads, sm_count);
  hopper_score_kernel<D><<<blocks, kThreads, Shape<D>::kBytes, stream>>>(batch, tiles, tile_count, shape);
  return cudaGetLastError();
}

}  // namespace

HopperTiles hopper_score_tiles(int head_dim) {
  if (head_dim != 64 && head_dim != 128 && head_dim != 256) return {0, 0};
  return {kRows, kKeys};
}

cudaError_t hopper_score(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                         int sm_count, cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  switch (shape.head_dim) {
    case 64: return launch<64>(batch, tiles, tile_count, shape, sm_count, stream);
    case 128: return launch<128>(batch, tiles, tile_count, shape, sm_count, stream);
    case 256: return launch<256>(batch, tiles, tile_count, shape, sm_count, stream);
    default: return cudaErrorInvalidValue;
  }
}

}  // namespace headzip::cuda
