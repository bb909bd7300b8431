// The splits' partial outputs become a query's: the second half of a step's attention.
#include "../attention/mma.cuh"
#include "overlap.cuh"
#include "splits.cuh"

namespace headzip::cuda {
namespace {

struct HeadSplits {
  int first, count;  // those that hold keys
};

__device__ __forceinline__ HeadSplits splits_of(const DecodeSpan& span, int head, int kv_heads, int advance) {
  if (span.lengths == nullptr) return {head * (span.splits / kv_heads), splits_of(span.length + advance, span.chunk)};
  int before = 0;
  for (int h = threadIdx.x % 32; h < head; h += 32) before += splits_of(span.lengths[h], span.chunk);
  for (int step = 16; step > 0; step /= 2) before += __shfl_xor_sync(~0u, before, step);
  return {before, splits_of(span.lengths[head], span.chunk)};
}

// One block a (query, head): its splits are shared out to teams of D / 4 threads, then the teams' results are merged.
constexpr int kMergeThreads = 512;

struct Running {
  float4 sum{0, 0, 0, 0};
  float top = kNone, total = 0;
  __device__ __forceinline__ void merge(float4 x, float2 part) {
    const bool seen = part.y > 0;  // a split of which nothing is seen may hold anything
    const float peak = fmaxf(top, seen ? part.x : kNone), shift = peak == kNone ? 0.0f : peak;
    const float keep = exp2_fast(top - shift), share = seen ? exp2_fast(part.x - shift) : 0.0f;
    if (!seen) x = {0, 0, 0, 0};
    sum = {sum.x * keep + x.x * share, sum.y * keep + x.y * share, sum.z * keep + x.z * share, sum.w * keep + x.w * share};
    total = total * keep + (seen ? part.y : 0.0f) * share;
    top = peak;
  }
};

template <int D>
__global__ void __launch_bounds__(kMergeThreads) merge_kernel(const __grid_constant__ DecodeLaunch launch, int tiles, int max_splits) {
  constexpr int kTeam = D / 4, kTeams = kMergeThreads / kTeam, kAhead = 4;
  __shared__ float4 partial_out[kTeams][kTeam];
  __shared__ float2 tops[kTeams];
  const DecodeParams& params = launch.params[blockIdx.z];
  const int query = static_cast<int>(blockIdx.y), head = static_cast<int>(blockIdx.x), kv_heads = launch.shape.kv_heads;
  if (query >= params.queries) return;
  const int group = launch.shape.heads / kv_heads, kv_head = head / group, row = query * group + head % group;
  const int advance = launch.advance == nullptr ? 0 : *launch.advance;
  const HeadSplits near = splits_of(params.span[0], kv_head, kv_heads, advance);
  HeadSplits far{0, 0};
  if (params.spans > 1) far = splits_of(params.span[1], kv_head, kv_heads, advance);
  wait_for_last();
  let_next_start();
  const int team = threadIdx.x / kTeam, at = threadIdx.x % kTeam, count = near.count + far.count;
  const int64_t block = static_cast<int64_t>(blockIdx.z) * tiles + row / kDecodeRows, blocks = static_cast<int64_t>(launch.batch) * tiles;
  const Scratch scratch = scratch_of<D>(launch.scratch, blocks * max_splits);
  const auto row_of = [&](int i) {
    const int split = i < near.count ? near.first + i : params.span[0].splits + far.first + i - near.count;
    return (block * max_splits + split) * kDecodeRows + row % kDecodeRows;
  };

  Running mine;
  for (int i = team; i < count; i += kTeams * kAhead) {
    float4 x[kAhead];
    float2 part[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const bool there = i + a * kTeams < count;
      const int64_t from = row_of(there ? i + a * kTeams : i);
      part[a] = scratch.tops[from];
      x[a] = *reinterpret_cast<const float4*>(scratch.partial_out + from * D + at * 4);
      if (!there) part[a].y = 0;
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) mine.merge(x[a], part[a]);
  }
  partial_out[team][at] = mine.sum;
  if (at == 0) tops[team] = {mine.top, mine.total};
  __syncthreads();
  if (team != 0 || at * 4 >= launch.shape.head_dim) return;
  Running all;
  for (int t = 0; t < kTeams; ++t) all.merge(partial_out[t][at], tops[t]);
  const float inverse = all.total > 0 ? 1.0f / all.total : 0.0f;
  const uint2 packed = {pack(all.sum.x * inverse, all.sum.y * inverse), pack(all.sum.z * inverse, all.sum.w * inverse)};
  *reinterpret_cast<uint2*>(params.out + query * launch.stride + static_cast<int64_t>(head) * launch.shape.head_dim + at * 4) = packed;
}

template <int D>
cudaError_t run(const DecodeLaunch& launch, const Extent& e, cudaStream_t stream) {
  return launch_overlapped(merge_kernel<D>, dim3(launch.shape.heads, e.queries, launch.batch), kMergeThreads, 0, stream, launch, e.tiles, e.splits);
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
