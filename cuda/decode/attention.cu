// Attention of a few queries over long keys: every key and value is read once, by the block that owns its split, for all
// query heads of its group. A warp has a ring of its own, so that no warp waits for another until the split is done.
#include <algorithm>

#include "../attention/visible.cuh"
#include "overlap.cuh"
#include "splits.cuh"

namespace headzip::cuda {
namespace {

template <int D>
struct Config {
  static constexpr int kWarps = D == 256 ? 2 : 4, kThreads = kWarps * 32, kKeys = 16;
  static constexpr int kStages = D == 64 ? 4 : 3;  // 96 KiB at most: more than 99 is not to be had on some chips
  static constexpr int kHalf = kKeys * D, kStage = 2 * kHalf;
  static constexpr int kBytes = kWarps * kStages * kStage * 2;
  static constexpr int kRow = D + 8;  // of partial outputs in shared memory, so that rows lie in different banks
  static_assert(kWarps * kDecodeRows * (kRow + 2) * 4 <= kBytes);
};

struct Split {
  int head, begin, length;  // head < 0: there is no such split
};

__device__ __forceinline__ Split split_at(const KvSegment& segment, const SplitPlan& plan, int index, int kv_heads,
                                          int advance) {
  if (segment.ends == nullptr) {
    const int each = plan.splits / kv_heads;
    return {index / each, index % each * plan.chunk, segment.end + advance};
  }
  const int lane = threadIdx.x % 32;
  int before = 0;
  for (int base = 0; base < kv_heads; base += 32) {
    const int length = base + lane < kv_heads ? segment.ends[base + lane] : 0, count = splits_of(length, plan.chunk);
    int upto = count;
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(~0u, upto, step);
      if (lane >= step) upto += other;
    }
    const unsigned past = __ballot_sync(~0u, before + upto > index);
    if (past != 0) {
      const int owner = __ffs(past) - 1, first = before + __shfl_sync(~0u, upto - count, owner);
      return {base + owner, (index - first) * plan.chunk, __shfl_sync(~0u, length, owner)};
    }
    before += __shfl_sync(~0u, upto, 31);
  }
  return {-1, 0, 0};
}

__device__ __forceinline__ HeadVisible visible_of(const KvSegment& segment, const Split& split, int window) {
  HeadVisible visible{};
  visible.end = split.length;
  visible.shift = segment.ends == nullptr ? 1 - segment.position : split.length - segment.position;
  visible.window = window;
  visible.gaps = segment.positions != nullptr && window > 0 ? segment.positions + split.head : nullptr;
  if (segment.windows == nullptr) return visible;
  const HeadWindow w = segment.windows[split.head];
  visible.recent = w.recent;
  // Entries of a segment that was never cut stand one after another from its first position on.
  visible.sink_end = segment.ends == nullptr ? w.sink - segment.position : w.entries;
  return visible;
}

template <int D>
__global__ void __launch_bounds__(Config<D>::kThreads)
    attention_kernel(const __grid_constant__ DecodeLaunch launch, int tiles, int max_splits) {
  using C = Config<D>;
  extern __shared__ __align__(128) unsigned char memory[];
  const DecodeParams& params = launch.params[blockIdx.x / tiles];
  const int tile = static_cast<int>(blockIdx.x) % tiles, kv_heads = launch.shape.kv_heads, head_dim = launch.shape.head_dim;
  const int group = launch.shape.heads / kv_heads, rows = min(kDecodeRows, params.queries * group - tile * kDecodeRows);
  int index = static_cast<int>(blockIdx.y);
  if (rows <= 0) return;
  int which = 0;
  if (index >= params.plan[0].splits) {
    index -= params.plan[0].splits;
    which = 1;
    if (params.segments < 2 || index >= params.plan[1].splits) return;
  }
  const KvSegment& segment = params.segment[which];
  const SplitPlan& plan = params.plan[which];
  const int advance = launch.advance == nullptr ? 0 : *launch.advance;
  const Split split = split_at(segment, plan, index, kv_heads, advance);
  if (split.head < 0 || split.begin >= split.length) return;  // room that the segment has yet to grow into

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int position = params.position + advance, low = position + tile * kDecodeRows / group;
  const int high = position + (tile * kDecodeRows + rows - 1) / group;
  HeadVisible visible = visible_of(segment, split, launch.shape.window);
  const int begin = visible.gaps != nullptr ? split.begin : max(split.begin, visible.low(low));
  const int end = visible.end = min(split.begin + plan.chunk, visible.high(high));
  int row_position[2];  // of the thread's two rows
#pragma unroll
  for (int h = 0; h < 2; ++h) row_position[h] = position + (tile * kDecodeRows + lane / 4 + 8 * h) / group;

  bf16* ring = reinterpret_cast<bf16*>(memory) + warp * C::kStages * C::kStage;  // (kStages) of keys, then values
  const bf16* keys = segment.heads[split.head].k;
  const bf16* values = segment.heads[split.head].v;
  const auto first_of = [&](int t) { return begin + (t * C::kWarps + warp) * C::kKeys; };
  const auto fetch = [&](int t) {
    const int first = first_of(t);
    if (first < end) {
      bf16* to = ring + t % C::kStages * C::kStage;
#pragma unroll
      for (int i = 0; i < C::kKeys * D / 8 / 32; ++i) {
        const int row = (i * 32 + lane) / (D / 8), column = (i * 32 + lane) % (D / 8);
        const bool valid = first + row < end && column * 8 < head_dim;
        const int64_t from = valid ? static_cast<int64_t>(first + row) * head_dim + column * 8 : 0;
        copy_async(shared_address(to + swizzled<D>(row, column)), keys + from, valid);
        copy_async(shared_address(to + C::kHalf + swizzled<D>(row, column)), values + from, valid);
      }
    }
    commit_copies();
  };
  // A context's keys lie there before the step begins; the tail's newest come from the kernel before this one.
  if (segment.ends == nullptr) grid_dependency_synchronize();
#pragma unroll
  for (int t = 0; t < C::kStages - 1; ++t) fetch(t);
  grid_dependency_synchronize();
  launch_dependents();

  // This thread's part of q, as the MMA's A operand wants it.
  uint32_t q[D / 16][4];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = tile * kDecodeRows + lane / 4 + 8 * h;
    const bool there = lane / 4 + 8 * h < rows;
    const bf16* from =
        params.q +
        (there ? row / group * launch.stride + static_cast<int64_t>(split.head * group + row % group) * head_dim : 0);
#pragma unroll
    for (int d = 0; d < D / 16; ++d)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int column = d * 16 + half * 8 + lane % 4 * 2;
        q[d][half * 2 + h] = there && column < head_dim ? *reinterpret_cast<const uint32_t*>(from + column) : 0u;
      }
  }

  const float scale = launch.shape.scale * kLog2e;
  float o[D / 8][4] = {};
  SoftmaxState state[2];
  for (int t = 0; first_of(t) < end; ++t) {
    wait_copies<C::kStages - 2>();
    __syncwarp();  // every lane's copies are there, and every lane is done with the stage that is filled next
    fetch(t + C::kStages - 1);
    const bf16* k = ring + t % C::kStages * C::kStage;
    const bf16* v = k + C::kHalf;
    float s[2][4] = {};  // (16 rows) x keys 0 .. 7 and 8 .. 15
#pragma unroll
    for (int d = 0; d < D / 16; ++d) {
      uint32_t b[4];
      ldmatrix(b, shared_address(k + swizzled<D>(lane % 8 + lane / 16 * 8, d * 2 + lane / 8 % 2)));
      mma(s[0], q[d], b[0], b[1]);
      mma(s[1], q[d], b[2], b[3]);
    }
    const int first = first_of(t);
    if (first + C::kKeys > visible.high(low) || first < visible.low(high) || visible.recent > 0 || visible.gaps != nullptr) {
#pragma unroll
      for (int i = 0; i < 8; ++i)
        if (!visible.sees(first + i / 4 * 8 + lane % 4 * 2 + i % 2, row_position[i % 4 / 2])) s[i / 4][i % 4] = kNone;
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float top = row_max(fmaxf(fmaxf(s[0][2 * h], s[0][2 * h + 1]), fmaxf(s[1][2 * h], s[1][2 * h + 1])));
      const float rescale = state[h].raise(fmaxf(state[h].m, top), scale), shift = state[h].shift(scale);
      float sum = 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) sum += s[i / 2][2 * h + i % 2] = exp2_fast(s[i / 2][2 * h + i % 2] * scale - shift);
      state[h].d = state[h].d * rescale + sum;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        o[n][2 * h] *= rescale;
        o[n][2 * h + 1] *= rescale;
      }
    }
    const uint32_t p[4] = {pack(s[0][0], s[0][1]), pack(s[0][2], s[0][3]), pack(s[1][0], s[1][1]), pack(s[1][2], s[1][3])};
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t b[4];
      ldmatrix_transposed(b, shared_address(v + swizzled<D>(lane % 16, n * 2 + lane / 16)));
      mma(o[2 * n], p, b[0], b[1]);
      mma(o[2 * n + 1], p, b[2], b[3]);
    }
  }
  wait_copies<0>();

  // The warps' partial outputs become the split's.
  __syncthreads();
  float* partial_out = reinterpret_cast<float*>(memory);  // (kWarps, kDecodeRows, kRow)
  SoftmaxState* states =
      reinterpret_cast<SoftmaxState*>(partial_out + C::kWarps * kDecodeRows * C::kRow);  // (kWarps, kDecodeRows)
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = warp * kDecodeRows + lane / 4 + 8 * h;
    const SoftmaxState whole = state[h].of_row(scale);
    if (lane % 4 == 0) states[row] = whole;
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
      *reinterpret_cast<float2*>(partial_out + row * C::kRow + n * 8 + lane % 4 * 2) = {o[n][2 * h], o[n][2 * h + 1]};
  }
  __syncthreads();
  const Scratch scratch = scratch_of<D>(launch.scratch, static_cast<int64_t>(gridDim.x) * max_splits);
  const int64_t slot = static_cast<int64_t>(blockIdx.x) * max_splits + blockIdx.y;
  for (int i = threadIdx.x; i < rows * (D / 4); i += C::kThreads) {
    const int row = i / (D / 4), column = i % (D / 4) * 4;
    SoftmaxState all;
#pragma unroll
    for (int w = 0; w < C::kWarps; ++w) all.m = fmaxf(all.m, states[w * kDecodeRows + row].m);
    float4 sum = {0, 0, 0, 0};
#pragma unroll
    for (int w = 0; w < C::kWarps; ++w) {
      const SoftmaxState part = states[w * kDecodeRows + row];
      const float share = exp2_fast(part.m - all.shift(1));
      const float4 x = *reinterpret_cast<const float4*>(partial_out + (w * kDecodeRows + row) * C::kRow + column);
      sum = {sum.x + share * x.x, sum.y + share * x.y, sum.z + share * x.z, sum.w + share * x.w};
      all.d += share * part.d;
    }
    *reinterpret_cast<float4*>(scratch.partial_out + (slot * kDecodeRows + row) * D + column) = sum;
    if (column == 0) scratch.states[slot * kDecodeRows + row] = all;
  }
}

Extent extent_of(const DecodeLaunch& launch) {
  Extent e;
  const int group = launch.shape.heads / launch.shape.kv_heads;
  for (int j = 0; j < launch.batch; ++j) {
    const DecodeParams& params = launch.params[j];
    e.queries = std::max(e.queries, params.queries);
    e.tiles = std::max(e.tiles, (params.queries * group + kDecodeRows - 1) / kDecodeRows);
    e.splits = std::max(e.splits, params.plan[0].splits + (params.segments > 1 ? params.plan[1].splits : 0));
  }
  return e;
}

template <int D>
cudaError_t allow() {
  return cudaFuncSetAttribute(attention_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, Config<D>::kBytes);
}

template <int D>
cudaError_t run(const DecodeLaunch& launch, cudaStream_t stream) {
  const Extent e = extent_of(launch);
  if (e.splits == 0 || e.queries == 0) return cudaErrorInvalidValue;
  if (const cudaError_t set = allow<D>(); set != cudaSuccess) return set;
  const cudaError_t status = launch_overlapped(attention_kernel<D>, dim3(launch.batch * e.tiles, e.splits), Config<D>::kThreads,
                                               Config<D>::kBytes, stream, launch, e.tiles, e.splits);
  if (status != cudaSuccess) return status;
  return merge_splits(launch, e, stream);
}

template <int D>
int blocks_per_sm() {
  int blocks = 0;
  if (allow<D>() != cudaSuccess) return 1;
  if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, attention_kernel<D>, Config<D>::kThreads, Config<D>::kBytes) !=
      cudaSuccess)
    return 1;
  return std::max(blocks, 1);
}

}  // namespace

int decode_blocks_per_sm(int head_dim) {
  return padded(head_dim) == 64 ? blocks_per_sm<64>() : padded(head_dim) == 128 ? blocks_per_sm<128>() : blocks_per_sm<256>();
}

size_t decode_scratch(const DecodeLaunch& launch) {
  const Extent e = extent_of(launch);
  return static_cast<size_t>(launch.batch) * e.tiles * e.splits * kDecodeRows * (padded(launch.shape.head_dim) + 2) *
         sizeof(float);
}

cudaError_t decode_attention(const DecodeLaunch& launch, cudaStream_t stream) {
  const int head_dim = launch.shape.head_dim;
  if (head_dim % 8 != 0 || head_dim > 256 || launch.batch < 1 || launch.batch > kMaxDecodeBatch) return cudaErrorInvalidValue;
  if (head_dim <= 64) return run<64>(launch, stream);
  if (head_dim <= 128) return run<128>(launch, stream);
  return run<256>(launch, stream);
}

}  // namespace headzip::cuda
