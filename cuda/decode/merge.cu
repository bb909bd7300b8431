// The splits' partial outputs become a query's: the second half of a step's attention.
#include "overlap.cuh"
#include "splits.cuh"

namespace headzip::cuda {
namespace {

struct HeadSplits {
  int first, count;  // those that hold keys
};

__device__ __forceinline__ HeadSplits splits_of(const KvSegment& segment, const SplitPlan& plan, int head, int kv_heads,
                                                int advance) {
  if (segment.ends == nullptr) return {head * (plan.splits / kv_heads), splits_of(segment.end + advance, plan.chunk)};
  int before = 0;
  for (int h = threadIdx.x % 32; h < head; h += 32) before += splits_of(segment.ends[h], plan.chunk);
  for (int step = 16; step > 0; step /= 2) before += __shfl_xor_sync(~0u, before, step);
  return {before, splits_of(segment.ends[head], plan.chunk)};
}

// One block a (query, head): its splits are shared out to teams of D / 4 threads, then the teams' results are merged.
constexpr int kMergeThreads = 512;

struct PartialOut {
  float4 out{0, 0, 0, 0};
  SoftmaxState state;
  __device__ __forceinline__ void add(float4 x, const SoftmaxState& other) {
    const MergeWeights w = merge(state, other);
    if (!w.seen) x = {0, 0, 0, 0};  // may hold anything
    out = {out.x * w.mine + x.x * w.other, out.y * w.mine + x.y * w.other, out.z * w.mine + x.z * w.other,
           out.w * w.mine + x.w * w.other};
  }
};

template <int D>
__global__ void __launch_bounds__(kMergeThreads)
    merge_kernel(const __grid_constant__ DecodeLaunch launch, int tiles, int max_splits) {
  constexpr int kTeam = D / 4, kTeams = kMergeThreads / kTeam, kAhead = 4;
  __shared__ float4 partial_out[kTeams][kTeam];
  __shared__ float4 team_states[(kTeams + 1) / 2];
  SoftmaxState* states = reinterpret_cast<SoftmaxState*>(team_states);
  const DecodeParams& params = launch.params[blockIdx.z];
  const int query = static_cast<int>(blockIdx.y), head = static_cast<int>(blockIdx.x), kv_heads = launch.shape.kv_heads;
  if (query >= params.queries) return;
  const int group = launch.shape.heads / kv_heads, kv_head = head / group, row = query * group + head % group;
  const int advance = launch.advance == nullptr ? 0 : *launch.advance;
  const HeadSplits near = splits_of(params.segment[0], params.plan[0], kv_head, kv_heads, advance);
  HeadSplits far{0, 0};
  if (params.segments > 1) far = splits_of(params.segment[1], params.plan[1], kv_head, kv_heads, advance);
  grid_dependency_synchronize();
  launch_dependents();
  const int team = threadIdx.x / kTeam, at = threadIdx.x % kTeam, count = near.count + far.count;
  const int64_t block = static_cast<int64_t>(blockIdx.z) * tiles + row / kDecodeRows,
                blocks = static_cast<int64_t>(launch.batch) * tiles;
  const Scratch scratch = scratch_of<D>(launch.scratch, blocks * max_splits);
  const auto row_of = [&](int i) {
    const int split = i < near.count ? near.first + i : params.plan[0].splits + far.first + i - near.count;
    return (block * max_splits + split) * kDecodeRows + row % kDecodeRows;
  };

  PartialOut mine;
  for (int i = team; i < count; i += kTeams * kAhead) {
    float4 x[kAhead];
    float2 part[kAhead];  // as one load each, so that those of all kAhead are under way together
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const bool there = i + a * kTeams < count;
      const int64_t from = row_of(there ? i + a * kTeams : i);
      part[a] = *reinterpret_cast<const float2*>(scratch.states + from);
      x[a] = *reinterpret_cast<const float4*>(scratch.partial_out + from * D + at * 4);
      if (!there) part[a].y = 0;
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) mine.add(x[a], {part[a].x, part[a].y});
  }
  partial_out[team][at] = mine.out;
  if (at == 0) states[team] = mine.state;
  __syncthreads();
  if (team != 0 || at * 4 >= launch.shape.head_dim) return;
  PartialOut all;
  for (int t = 0; t < kTeams; ++t) all.add(partial_out[t][at], states[t]);
  const float inverse = all.state.d > 0 ? 1.0f / all.state.d : 0.0f;
  const uint2 packed = {pack(all.out.x * inverse, all.out.y * inverse), pack(all.out.z * inverse, all.out.w * inverse)};
  *reinterpret_cast<uint2*>(params.out + query * launch.stride + static_cast<int64_t>(head) * launch.shape.head_dim + at * 4) =
      packed;
}

template <int D>
cudaError_t run(const DecodeLaunch& launch, const Extent& e, cudaStream_t stream) {
  return launch_overlapped(merge_kernel<D>, dim3(launch.shape.heads, e.queries, launch.batch), kMergeThreads, 0, stream, launch,
                           e.tiles, e.splits);
}

}  // namespace

cudaError_t merge_splits(const DecodeLaunch& launch, const Extent& extent, cudaStream_t stream) {
  switch (padded(launch.shape.head_dim)) {
    case 64: return run<64>(launch, extent, stream);
    case 128: return run<128>(launch, extent, stream);
    default: return run<256>(launch, extent, stream);
  }
}

}  // namespace headzip::cuda
