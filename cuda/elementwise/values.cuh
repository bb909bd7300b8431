// What the kernels between the GEMMs share: values kept as bf16 or fp32, 16 bytes at once where the shape allows.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "../launch.h"

namespace headzip::cuda {
namespace {

constexpr int kThreads = 256;

int blocks(int64_t items) {
  const int64_t n = (items + kThreads - 1) / kThreads;
  return static_cast<int>(n<1 ? 1 : n>(1 << 20) ? (1 << 20) : n);
}

struct alignas(16) Eight {
  __nv_bfloat162 pair[4];
};

// Four values at once, whichever way they are kept.
__device__ __forceinline__ float4 load4(const float* x) { return *reinterpret_cast<const float4*>(x); }
__device__ __forceinline__ float4 load4(const bf16* x) {
  const auto* pair = reinterpret_cast<const __nv_bfloat162*>(x);
  const float2 low = __bfloat1622float2(pair[0]), high = __bfloat1622float2(pair[1]);
  return {low.x, low.y, high.x, high.y};
}
__device__ __forceinline__ void store4(float* to, float4 v) { *reinterpret_cast<float4*>(to) = v; }
__device__ __forceinline__ void store4(bf16* to, float4 v) {
  auto* pair = reinterpret_cast<__nv_bfloat162*>(to);
  pair[0] = __floats2bfloat162_rn(v.x, v.y);
  pair[1] = __floats2bfloat162_rn(v.z, v.w);
}

template <typename T>
__device__ __forceinline__ float upcast(T x) {
  return static_cast<float>(x);
}
template <typename T>
__device__ __forceinline__ T downcast(float x);
template <>
__device__ __forceinline__ float downcast(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 downcast(float x) {
  return __float2bfloat16_rn(x);
}

// Calls `launch` with the array as what it is, then tells how the launch went.
template <typename F>
cudaError_t with(Values v, F&& launch) {
  if (v.wide) launch(static_cast<float*>(v.data));
  else launch(static_cast<bf16*>(v.data));
  return cudaGetLastError();
}

}  // namespace
}  // namespace headzip::cuda
