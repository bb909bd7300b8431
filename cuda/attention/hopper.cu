// Forward attention on Hopper (sm_90a). One producer warpgroup feeds tiles of K and V through TMA; two
// consumer warpgroups own 64 query rows of one head each. In a consumer the softmax of tile j runs while
// O += P(j-1) V(j-1) drains; between consumers named barriers make one compute its softmax while the other has the tensor
// cores. The grid is persistent: while consumers finish an item the producer fetches the next one. In a cluster of two,
// neighbouring query tiles share every tile of keys.
#include "../launch.h"
#include "hopper.cuh"
#include "softmax_state.cuh"

namespace headzip::cuda {
namespace {

template <int D>
struct Plan;
template <>
struct Plan<64> {
  static constexpr int kConsumers = 2, kKeys = 192, kProducerRegisters = 40, kConsumerRegisters = 232;
};
template <>
struct Plan<128> {
  static constexpr int kConsumers = 2, kKeys = 176, kProducerRegisters = 40, kConsumerRegisters = 232;
};
template <>
struct Plan<256> {
  static constexpr int kConsumers = 2, kKeys = 80, kProducerRegisters = 40, kConsumerRegisters = 232;
};

constexpr int kStages = 2;

template <int D>
struct Shape : Plan<D> {
  static constexpr int kRows = Plan<D>::kConsumers * 64, kThreads = (Plan<D>::kConsumers + 1) * 128;
  static constexpr int kQueryBytes = kRows * D * 2, kKeyBytes = Plan<D>::kKeys * D * 2;
  static constexpr int kBytes = kQueryBytes + 2 * kStages * kKeyBytes + 1024;
  // A warpgroup that asks for more registers than the block started with (168 a thread) waits for ever.
  static_assert(128 * (Plan<D>::kProducerRegisters + Plan<D>::kConsumers * Plan<D>::kConsumerRegisters) <= kThreads * 168);
};

// Barriers and tile infos, one set a block.
struct Signals {
  uint64_t q_full, q_empty, k_full[kStages], k_empty[kStages], v_full[kStages], v_empty[kStages];
  TileInfo info[kStages];
};

struct Item {
  int index, head, row;  // the block's first query row
  int first, end;      // query rows [first, end) that share the tiles of keys
};

template <int D, int kCluster>
__device__ __forceinline__ bool item_at(int round, const AttentionParams* batch, const Tile* tiles, int tile_count,
                                        const AttentionShape& shape, Item& item) {
  int at = item_of_round(round, blockIdx.x / kCluster, gridDim.x / kCluster);
  if (at >= tile_count * shape.heads) return false;
  int first_head = 0, width = shape.heads;
  if (shape.by_kv_head) {
    width /= shape.kv_heads;
    first_head = at / (tile_count * width) * width;
    at %= tile_count * width;
  }
  const Tile tile = tiles[at / width];
  const int rank = kCluster == 1 ? 0 : cluster_rank();
  item = {tile.index, first_head + at % width, tile.row + rank * Shape<D>::kRows, tile.row,
          min(tile.row + kCluster * Shape<D>::kRows, batch[tile.index].queries)};
  return true;
}

template <int D, int kCluster>
__device__ __forceinline__ void produce(const AttentionParams* batch, const Tile* tiles, int tile_count,
                                        const AttentionShape& shape, Signals& signals, uint32_t q, uint32_t k, uint32_t v) {
  using S = Shape<D>;
  using Tiles = KeyTiles<S::kKeys>;
  const int rank = kCluster == 1 ? 0 : cluster_rank();
  int count = 0;
  Item item;
  for (int round = 0; item_at<D, kCluster>(round, batch, tiles, tile_count, shape, item); ++round) {
    const AttentionParams& params = batch[item.index];
    const uint32_t q_full = shared_address(&signals.q_full);
    acquire_map(&params.q_map);
    barrier_wait(shared_address(&signals.q_empty), (round & 1) ^ 1);
    barrier_expect(q_full, S::kQueryBytes);
#pragma unroll
    for (int box = 0; box < D / kBoxColumns; ++box)
      load_box(q + box * S::kRows * 128, &params.q_map, box * kBoxColumns, item.row, item.head, q_full);
    Tiles walk(params, item.head / (shape.heads / shape.kv_heads), params.position + item.first, params.position + item.end - 1,
               shape.window, params.lse == nullptr ? Tiles::Which::kAll : Tiles::Which::kScoreFirst);
    const HeadMaps* known = nullptr;
    do {
      const int stage = count % kStages, parity = (count / kStages & 1) ^ 1;
      const HeadMaps* maps = walk.maps();
      if (maps != known) {
        acquire_map(&maps->k[kCluster - 1]);
        acquire_map(&maps->v[kCluster - 1]);
        known = maps;
      }
      const uint32_t k_full = shared_address(&signals.k_full[stage]), v_full = shared_address(&signals.v_full[stage]);
      barrier_wait(shared_address(&signals.k_empty[stage]), parity);
      KeyTile tile = walk.tile();
      if (needs_mask<S::kKeys, S::kRows>(tile, params.position + item.row, shape.window)) tile.flags |= KeyTile::kMask;
      store(signals.info[stage], tile);
      barrier_expect(k_full, S::kKeyBytes);
      load_keys<D, S::kKeys, kCluster>(k + stage * S::kKeyBytes, &maps->k[kCluster - 1], walk.first(), rank, k_full);
      barrier_wait(shared_address(&signals.v_empty[stage]), parity);
      barrier_expect(v_full, S::kKeyBytes);
      load_keys<D, S::kKeys, kCluster>(v + stage * S::kKeyBytes, &maps->v[kCluster - 1], walk.first(), rank, v_full);
      ++count;
      if (!walk.done()) walk.next();
    } while (!walk.done());
  }
}

// A stage is free again for every block of the cluster that copies into it; said by `kThreads` of a warpgroup each.
template <int kCluster, int kThreads>
__device__ __forceinline__ void release(uint64_t& barrier) {
  const int thread = threadIdx.x % kThreads;
  if constexpr (kCluster == 1) {
    if (thread == 0) barrier_arrive(shared_address(&barrier));
  } else {
    if (thread < kCluster) barrier_arrive(shared_address(&barrier), thread);
  }
}
// The WGMMAs of all four warps are done when one's are; but each warp read the info beside the keys by itself.
template <int kCluster>
__device__ __forceinline__ void release_keys(uint64_t& barrier) {
  release<kCluster, 32>(barrier);
}
template <int kCluster>
__device__ __forceinline__ void release_values(uint64_t& barrier) {
  release<kCluster, 128>(barrier);
}

// Running softmax of the thread's two rows. `s` becomes softmax weights; `rescale` is what older sums are multiplied by.
template <int kKeys>
__device__ __forceinline__ void softmax(float (&s)[kKeys / 2], SoftmaxState (&state)[2], float (&rescale)[2], float scale) {
  float top[2][2] = {{state[0].m, kNone}, {state[1].m, kNone}};  // two chains a row: shorter dependencies
#pragma unroll
  for (int i = 0; i < kKeys / 2; i += 2) {
    const int r = i / 2 % 2;
    top[r][0] = fmaxf(top[r][0], s[i]);
    top[r][1] = fmaxf(top[r][1], s[i + 1]);
  }
  float shift[2], sum[2] = {0, 0};
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    rescale[r] = state[r].raise(row_max(fmaxf(top[r][0], top[r][1])), scale);
    shift[r] = state[r].shift(scale);
    state[r].d *= rescale[r];
  }
#pragma unroll
  for (int i = 0; i < kKeys / 2; i += 2) {
    const int r = i / 2 % 2;
    s[i] = exp2_fast(s[i] * scale - shift[r]);
    s[i + 1] = exp2_fast(s[i + 1] * scale - shift[r]);
    state[r].d += s[i];
    sum[r] += s[i + 1];
  }
  state[0].d += sum[0];
  state[1].d += sum[1];
}

template <int D, int kCluster>
__device__ __forceinline__ void consume(const AttentionParams* batch, const Tile* tiles, int tile_count,
                                        const AttentionShape& shape, Signals& signals, uint32_t q, uint32_t k, uint32_t v) {
  using S = Shape<D>;
  constexpr int kKeys = S::kKeys;
  const int consumer = threadIdx.x / 128 - 1, lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const int mine = 1 + consumer, following = 1 + (consumer + 1) % S::kConsumers;
  const uint32_t my_q = q + consumer * 64 * 128;
  const float scale = shape.scale * kLog2e;
  float s[kKeys / 2], o[D / 2];
  uint32_t p[kKeys / 4];
  int count = 0;
  KeyTile tile{};

  const auto issue_qk = [&](int n) {
    const int stage = n % kStages;
    barrier_wait(shared_address(&signals.k_full[stage]), n / kStages & 1);
    issue_logits<D, S::kRows, kKeys>(s, my_q, k + stage * S::kKeyBytes);
  };
  const auto issue_pv = [&](int n) {
    const int stage = n % kStages;
    barrier_wait(shared_address(&signals.v_full[stage]), n / kStages & 1);
    pin(o);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i)
      wgmma_registers(o, p + 4 * i, column_major(v + stage * S::kKeyBytes + i * 2048, kKeys * 128));
    wgmma_commit();
  };
  const auto pack_p = [&] {
#pragma unroll
    for (int i = 0; i < kKeys / 4; ++i) p[i] = pack(s[2 * i], s[2 * i + 1]);
  };

  const auto store_lse = [&](const Item& item, const SoftmaxState(&state)[2]) {
    const AttentionParams& params = batch[item.index];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float lse = state[r].lse(scale);
      const int query = item.row + consumer * 64 + warp * 16 + lane / 4 + 8 * r;
      if (lane % 4 == 0 && query < params.queries) params.lse[item.head * params.queries + query] = lse;
    }
  };

  if (consumer == S::kConsumers - 1) named_barrier_arrive(1);  // consumer 0 goes first
  Item item;
  for (int round = 0; item_at<D, kCluster>(round, batch, tiles, tile_count, shape, item); ++round) {
    const int position = batch[item.index].position + item.row + consumer * 64;  // of the warpgroup's first row
    const int row = warp * 16 + lane / 4;
    SoftmaxState state[2];
    float rescale[2];
#pragma unroll
    for (int i = 0; i < D / 2; ++i) o[i] = 0;

    barrier_wait(shared_address(&signals.q_full), round & 1);
    named_barrier_sync(mine);
    issue_qk(count);
    named_barrier_arrive(following);
    load(signals.info[count % kStages], tile);  // while the WGMMAs run
    wgmma_wait<0>();
    pin(s);
    release_keys<kCluster>(signals.k_empty[count % kStages]);
    apply_mask<kKeys>(s, tile, position, row, shape.window);
    softmax<kKeys>(s, state, rescale, scale);
    pack_p();
    if (tile.flags & KeyTile::kLse) store_lse(item, state);
    while (!(tile.flags & KeyTile::kLast)) {
      ++count;
      named_barrier_sync(mine);
      issue_qk(count);
      issue_pv(count - 1);
      named_barrier_arrive(following);
      load(signals.info[count % kStages], tile);
      wgmma_wait<1>();
      pin(s);
      release_keys<kCluster>(signals.k_empty[count % kStages]);
      apply_mask<kKeys>(s, tile, position, row, shape.window);
      softmax<kKeys>(s, state, rescale, scale);
      wgmma_wait<0>();
      pin(o);
      release_values<kCluster>(signals.v_empty[(count - 1) % kStages]);
#pragma unroll
      for (int i = 0; i < D / 2; ++i) o[i] *= rescale[i / 2 % 2];
      pack_p();
      if (tile.flags & KeyTile::kLse) store_lse(item, state);
    }
    if (threadIdx.x % 128 == 0) barrier_arrive(shared_address(&signals.q_empty));
    issue_pv(count);
    wgmma_wait<0>();
    pin(o);
    release_values<kCluster>(signals.v_empty[count % kStages]);
    ++count;

    const AttentionParams& params = batch[item.index];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float sum = row_sum(state[r].d), inverse = sum > 0 ? 1.0f / sum : 0.0f;
      const int query = item.row + consumer * 64 + row + 8 * r;
      if (query >= params.queries) continue;
      bf16* out = params.out + query * params.out_stride + item.head * D + lane % 4 * 2;
#pragma unroll
      for (int i = 0; i < D / 8; ++i)
        *reinterpret_cast<uint32_t*>(out + i * 8) = pack(o[4 * i + 2 * r] * inverse, o[4 * i + 2 * r + 1] * inverse);
    }
  }
  if (consumer == 0) named_barrier_sync(1);  // takes up the arrival that the last consumer left
}

template <int D, int kCluster>
__global__ void __launch_bounds__(Shape<D>::kThreads, 1)
    hopper_attention_kernel(const AttentionParams* batch, const Tile* tiles, int tile_count, AttentionShape shape) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Shape<D>;
  extern __shared__ unsigned char memory[];
  __shared__ Signals signals;
  const uint32_t q = (shared_address(memory) + 1023) & ~1023u;  // (kRows, D), in boxes of 64 columns
  const uint32_t k = q + S::kQueryBytes;                        // (kStages, kKeys, D)
  const uint32_t v = k + kStages * S::kKeyBytes;                // (kStages, kKeys, D)
  if (threadIdx.x == 0) {
    barrier_init(shared_address(&signals.q_full), 1);
    barrier_init(shared_address(&signals.q_empty), S::kConsumers);
    for (int stage = 0; stage < kStages; ++stage) {
      barrier_init(shared_address(&signals.k_full[stage]), 1);
      barrier_init(shared_address(&signals.v_full[stage]), 1);
      barrier_init(shared_address(&signals.k_empty[stage]), 4 * S::kConsumers * kCluster);
      barrier_init(shared_address(&signals.v_empty[stage]), S::kConsumers * kCluster);
    }
    barrier_init_fence();
  }
  if constexpr (kCluster == 1) __syncthreads();
  else cluster_sync();
  if (threadIdx.x < 128) {
    give_registers<S::kProducerRegisters>();
    if (threadIdx.x == 0) produce<D, kCluster>(batch, tiles, tile_count, shape, signals, q, k, v);
    __syncwarp();
  } else {
    take_registers<S::kConsumerRegisters>();
    consume<D, kCluster>(batch, tiles, tile_count, shape, signals, q, k, v);
  }
  if constexpr (kCluster > 1) cluster_sync();  // nobody leaves while another block may still send here
#endif
}

template <int D, int kCluster>
cudaError_t launch(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape, int sm_count,
                   cudaStream_t stream) {
  using S = Shape<D>;
  const auto kernel = hopper_attention_kernel<D, kCluster>;
  const cudaError_t set = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kBytes);
  if (set != cudaSuccess) return set;
  const int items = tile_count * shape.heads, clusters = items < sm_count / kCluster ? items : sm_count / kCluster;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {kCluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(clusters * kCluster);
  config.blockDim = dim3(S::kThreads);
  config.dynamicSmemBytes = S::kBytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = kCluster > 1 ? 1 : 0;
  const cudaError_t launched = cudaLaunchKernelEx(&config, kernel, batch, tiles, tile_count, shape);
  return launched != cudaSuccess ? launched : cudaGetLastError();
}

template <int D>
cudaError_t launch(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape, int cluster,
                   int sm_count, cudaStream_t stream) {
  if (cluster == 1) return launch<D, 1>(batch, tiles, tile_count, shape, sm_count, stream);
  if (cluster == 2) return launch<D, 2>(batch, tiles, tile_count, shape, sm_count, stream);
  return cudaErrorInvalidValue;
}

}  // namespace

HopperTiles hopper_attention_tiles(int head_dim) {
  switch (head_dim) {
    case 64: return {Shape<64>::kRows, Shape<64>::kKeys};
    case 128: return {Shape<128>::kRows, Shape<128>::kKeys};
    case 256: return {Shape<256>::kRows, Shape<256>::kKeys};
    default: return {0, 0};
  }
}

cudaError_t hopper_attention(const AttentionParams* batch, const Tile* tiles, int tile_count, const AttentionShape& shape,
                             int cluster, int sm_count, cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  switch (shape.head_dim) {
    case 64: return launch<64>(batch, tiles, tile_count, shape, cluster, sm_count, stream);
    case 128: return launch<128>(batch, tiles, tile_count, shape, cluster, sm_count, stream);
    case 256: return launch<256>(batch, tiles, tile_count, shape, cluster, sm_count, stream);
    default: return cudaErrorInvalidValue;
  }
}

}  // namespace headzip::cuda
