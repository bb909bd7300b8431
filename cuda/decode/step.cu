// What lies between the GEMVs of a step: rotation with the way into the cache, argmax of the logits, the step's own count.
#include <cuda_bf16.h>

#include <atomic>
#include <cstring>

#include "decode.h"
#include "overlap.cuh"

namespace headzip::cuda {
namespace {

constexpr int kThreads = 128;

// One block a (row, head): heads of q first, then those of k and v.
__global__ void rope_append_kernel(const __grid_constant__ RopeAppend p) {
  const int row = static_cast<int>(blockIdx.y), queries = p.q == nullptr ? 0 : p.heads, dim = p.head_dim;
  const bool query = static_cast<int>(blockIdx.x) < queries;
  const int head = query ? static_cast<int>(blockIdx.x) : static_cast<int>(blockIdx.x) - queries;
  const int ahead = p.advance == nullptr ? 0 : *p.advance;
  const bf16* from = query ? p.q + (static_cast<int64_t>(row) * p.heads + head) * dim
                           : p.k + (static_cast<int64_t>(row) * p.kv_heads + head) * dim;
  // A thread a pair: heads are at most twice as wide as the block. As in rope(): the angle is rounded to fp32 first, and
  // reduced exactly.
  const int d = static_cast<int>(threadIdx.x);
  const bool rotates = d < p.pairs;
  float sine = 0, cosine = 0;
  if (rotates) sincosf(static_cast<float>(p.position + ahead + row) * p.inv_freq[d], &sine, &cosine);
  grid_dependency_synchronize();
  launch_dependents();
  bf16* to = p.q + (static_cast<int64_t>(row) * p.heads + head) * dim;
  if (!query) {
    const int64_t entry = (p.lengths == nullptr ? p.length + ahead : p.lengths[head]) + row;
    to = p.kv[head].k + entry * dim;
    if (p.v != nullptr) {
      const bf16* v = p.v + (static_cast<int64_t>(row) * p.kv_heads + head) * dim;
      for (int c = threadIdx.x * 8; c < dim; c += kThreads * 8)
        *reinterpret_cast<uint4*>(p.kv[head].v + entry * dim + c) = *reinterpret_cast<const uint4*>(v + c);
    }
  }
  bool bad = false;
  const int step = p.adjacent ? 2 : 1, apart = p.adjacent ? 1 : p.pairs;
  if (rotates) {
    sine *= p.scale;
    cosine *= p.scale;
    const float a = __bfloat162float(from[d * step]), b = __bfloat162float(from[d * step + apart]);
    bad |= !isfinite(a) || !isfinite(b);
    to[d * step] = __float2bfloat16_rn(a * cosine - b * sine);
    to[d * step + apart] = __float2bfloat16_rn(b * cosine + a * sine);
  }
  for (int i = 2 * p.pairs + d; i < dim; i += kThreads) {
    bad |= !isfinite(__bfloat162float(from[i]));
    if (!query) to[i] = from[i];
  }
  if (bad) *p.flag = 1;
}

// Floats as integers in the same order; above the value the complement of the index, so that the lowest index wins.
__device__ __forceinline__ unsigned long long key_of(float value, int index) {
  uint32_t bits = __float_as_uint(value + 0.0f);  // zeros of both signs are alike
  bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  if (!isfinite(value)) bits = 0xffffffffu;
  return static_cast<unsigned long long>(bits) << 32 | static_cast<uint32_t>(~index);
}

__global__ void argmax_kernel(const float* x, int64_t width, unsigned long long* keys) {
  const float* row = x + blockIdx.y * width;
  unsigned long long mine = 0;
  for (int64_t c = blockIdx.x * int64_t{kThreads} + threadIdx.x; c < width; c += int64_t{gridDim.x} * kThreads) {
    const unsigned long long key = key_of(row[c], static_cast<int>(c));
    mine = mine > key ? mine : key;
  }
  for (int step = 16; step > 0; step /= 2) {
    const unsigned long long other = __shfl_xor_sync(~0u, mine, step);
    mine = mine > other ? mine : other;
  }
  if (threadIdx.x % 32 == 0) atomicMax(keys + blockIdx.y, mine);
}

__global__ void advance_kernel(int32_t* counter) { *counter += 1; }

}  // namespace

static std::atomic<bool> overlap_wanted{true};

void overlap_steps(bool wanted) { overlap_wanted = wanted; }

bool overlaps() {
  static const bool possible = [] {
    int device = 0, major = 0, driver = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
           cudaDriverGetVersion(&driver) == cudaSuccess && major >= 9 &&
           driver >= 12030;  // from there on such launches can be recorded
  }();
  return possible && overlap_wanted;
}

cudaError_t rope_append(const RopeAppend& p, cudaStream_t stream) {
  if (p.rows == 0) return cudaSuccess;
  if (p.head_dim % 8 != 0 || 2 * p.pairs > p.head_dim || p.pairs > kThreads) return cudaErrorInvalidValue;
  return launch_overlapped(rope_append_kernel, dim3((p.q == nullptr ? 0 : p.heads) + p.kv_heads, p.rows), kThreads, 0, stream,
                           p);
}

cudaError_t argmax(const float* x, int64_t rows, int64_t width, uint64_t* keys, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (const cudaError_t status = cudaMemsetAsync(keys, 0, static_cast<size_t>(rows) * sizeof *keys, stream);
      status != cudaSuccess)
    return status;
  const int64_t blocks = (width + kThreads * 8 - 1) / (kThreads * 8);
  argmax_kernel<<<dim3(static_cast<unsigned>(blocks < 256 ? blocks : 256), static_cast<unsigned>(rows)), kThreads, 0, stream>>>(
      x, width, reinterpret_cast<unsigned long long*>(keys));
  return cudaGetLastError();
}

ArgmaxResult argmax_of(uint64_t key) {
  uint32_t bits = static_cast<uint32_t>(key >> 32);
  bits = bits == 0xffffffffu ? 0x7fc00000u : bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
  ArgmaxResult b{static_cast<int32_t>(~static_cast<uint32_t>(key)), 0};
  std::memcpy(&b.value, &bits, sizeof bits);
  return b;
}

cudaError_t advance(int32_t* counter, cudaStream_t stream) {
  advance_kernel<<<1, 1, 0, stream>>>(counter);
  return cudaGetLastError();
}

}  // namespace headzip::cuda
