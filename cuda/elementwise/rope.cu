// Rotary positions.
#include "values.cuh"

namespace headzip::cuda {
namespace {

__device__ __forceinline__ void rotary_angle(float position, float inv_freq, float scale, float& sine, float& cosine) {
  // The angle is rounded to fp32 first, as transformers does; reduced exactly, for positions past 100,000.
  sincosf(position * inv_freq, &sine, &cosine);
  sine *= scale;
  cosine *= scale;
}

// A thread rotates one pair of a row in every head.
__global__ void rope_kernel(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position,
                            const float* inv_freq, float scale, bool adjacent, int32_t* flag) {
  const int64_t total = rows * pairs, step = adjacent ? 2 : 1, apart = adjacent ? 1 : pairs;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < total; i += int64_t{gridDim.x} * kThreads) {
    const int64_t row = i / pairs, d = i % pairs;
    float sine, cosine;
    bool bad = false;
    rotary_angle(static_cast<float>(position + row), inv_freq[d], scale, sine, cosine);
    bf16* at = x + row * heads * head_dim + d * step;
    for (int64_t h = 0; h < heads; ++h, at += head_dim) {
      const float a = __bfloat162float(at[0]), b = __bfloat162float(at[apart]);
      bad |= !isfinite(a) || !isfinite(b);
      at[0] = __float2bfloat16_rn(a * cosine - b * sine);
      at[apart] = __float2bfloat16_rn(b * cosine + a * sine);
    }
    if (bad) *flag = 1;
  }
}

// The same, eight neighbouring pairs a thread, of halves that lie apart; pairs and head_dim multiples of 8.
__global__ void rope_eights_kernel(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position,
                                   const float* inv_freq, float scale, int32_t* flag) {
  const int64_t eights = pairs / 8, total = rows * eights;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < total; i += int64_t{gridDim.x} * kThreads) {
    const int64_t row = i / eights, d = i % eights * 8;
    float sine[8], cosine[8];
    bool bad = false;
#pragma unroll
    for (int j = 0; j < 8; ++j) rotary_angle(static_cast<float>(position + row), inv_freq[d + j], scale, sine[j], cosine[j]);
    bf16* at = x + row * heads * head_dim + d;
    for (int64_t h = 0; h < heads; ++h, at += head_dim) {
      Eight low = *reinterpret_cast<const Eight*>(at), high = *reinterpret_cast<const Eight*>(at + pairs);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float2 a = __bfloat1622float2(low.pair[j]), b = __bfloat1622float2(high.pair[j]);
        bad |= !isfinite(a.x) || !isfinite(a.y) || !isfinite(b.x) || !isfinite(b.y);
        low.pair[j] =
            __floats2bfloat162_rn(a.x * cosine[2 * j] - b.x * sine[2 * j], a.y * cosine[2 * j + 1] - b.y * sine[2 * j + 1]);
        high.pair[j] =
            __floats2bfloat162_rn(b.x * cosine[2 * j] + a.x * sine[2 * j], b.y * cosine[2 * j + 1] + a.y * sine[2 * j + 1]);
      }
      *reinterpret_cast<Eight*>(at) = low;
      *reinterpret_cast<Eight*>(at + pairs) = high;
    }
    if (bad) *flag = 1;
  }
}

}  // namespace

cudaError_t rope(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position, const float* inv_freq,
                 float scale, bool adjacent, int32_t* flag, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (!adjacent && pairs % 8 == 0 && head_dim % 8 == 0)
    rope_eights_kernel<<<blocks(rows * pairs / 8), kThreads, 0, stream>>>(x, rows, heads, head_dim, pairs, position, inv_freq,
                                                                          scale, flag);
  else
    rope_kernel<<<blocks(rows * pairs), kThreads, 0, stream>>>(x, rows, heads, head_dim, pairs, position, inv_freq, scale,
                                                               adjacent, flag);
  return cudaGetLastError();
}

}  // namespace headzip::cuda
