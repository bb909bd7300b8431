// GEMV for a few rows: a warp streams kOuts rows of the weight past all rows of x. Weights bypass the L1 cache, which
// holds x for everybody. A lane adds up in the order of its vectors whatever kRows, kOuts and kAhead are, so that a row's
// result does not depend on what it shares the launch with.
#pragma once
#include <cuda_bf16.h>

#include <type_traits>

#include "decode.h"
#include "overlap.cuh"

namespace headzip::cuda {

constexpr int kGemvWarps = 4;

__device__ __forceinline__ uint4 load_once(const uint4* from) {
  uint4 v;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

// Eight multiply-adds of a vector onto one sum; a bf16 is the upper half of a float.
__device__ __forceinline__ float dot8(float sum, const uint4& a, const uint4& b) {
  const uint32_t u[4] = {a.x, a.y, a.z, a.w}, v[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum = fmaf(__uint_as_float(u[i] << 16), __uint_as_float(v[i] << 16), sum);
    sum = fmaf(__uint_as_float(u[i] & 0xffff0000u), __uint_as_float(v[i] & 0xffff0000u), sum);
  }
  return sum;
}

__device__ __forceinline__ float activate(Gate gate, float x) {
  if (gate == Gate::kSilu) return x / (1 + __expf(-x));
  return 0.5f * x * (1 + tanhf(0.797884560802865f * (x + 0.044715f * x * x * x)));
}

__device__ __forceinline__ void keep(const GemvOutput& output, int64_t at, float value) {
  if (output.y.wide) {
    float* y = static_cast<float*>(output.y.data) + at;
    if (output.add) value += *y;
    *y = value;
  } else {
    bf16* y = static_cast<bf16*>(output.y.data) + at;
    if (output.add) value += __bfloat162float(*y);
    *y = __float2bfloat16_rn(value);
  }
}

// kPaired: the two rows are one each of two outputs, a gate and what it multiplies.
template <int kRows, int kOuts, int kAhead, bool kPaired>
__global__ void __launch_bounds__(kGemvWarps * 32) gemv_kernel(const __grid_constant__ Gemv g) {
  static_assert(!kPaired || kOuts == 2);
  constexpr int kStep = kPaired ? 1 : kOuts;
  const int lane = threadIdx.x % 32;
  int64_t out = (blockIdx.x * int64_t{kGemvWarps} + threadIdx.x / 32) * kStep;
  int j = 0;
  if (!kPaired)
    for (; j + 1 < g.outputs && out >= (g.output[j].out + kStep - 1) / kStep * kStep; ++j)
      out -= (g.output[j].out + kStep - 1) / kStep * kStep;
  const GemvOutput& output = g.output[j];
  if (out >= output.out) return;  // and waits for nothing: it touches nothing

  const uint4* w[kOuts];
#pragma unroll
  for (int o = 0; o < kOuts; ++o) {
    const bf16* from = kPaired ? g.output[o].w + out * g.in : output.w + (out + o < output.out ? out + o : out) * g.in;
    w[o] = reinterpret_cast<const uint4*>(from);
  }
  const uint4* x[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) x[r] = reinterpret_cast<const uint4*>(g.x + static_cast<int64_t>(r < g.rows ? r : 0) * g.in);

  float sum[kOuts][kRows] = {};
  const int vectors = g.in / 8;
  uint4 weight[kAhead][kOuts];
  const auto fetch = [&](int first, auto whole) {  // whole: every lane has a vector of each
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
#pragma unroll
      for (int o = 0; o < kOuts; ++o) {
        const int at = first + a * 32 + lane;
        weight[a][o] = decltype(whole)::value || at < vectors ? load_once(w[o] + at) : uint4{0, 0, 0, 0};
      }
  };
  const auto multiply = [&](int first, auto whole) {
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int at = first + a * 32 + lane;
      if (!decltype(whole)::value && at >= vectors) continue;
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const uint4 mine = x[r][at];
#pragma unroll
        for (int o = 0; o < kOuts; ++o) sum[o][r] = dot8(sum[o][r], weight[a][o], mine);
      }
    }
  };
  constexpr int kBatch = kAhead * 32;
  fetch(0, std::false_type{});  // weights are on their way before x is there
  grid_dependency_synchronize();
  launch_dependents();
  multiply(0, std::false_type{});
  int first = kBatch;
  for (; first + kBatch <= vectors; first += kBatch) {
    fetch(first, std::true_type{});
    multiply(first, std::true_type{});
  }
  if (first < vectors) {
    fetch(first, std::false_type{});
    multiply(first, std::false_type{});
  }

#pragma unroll
  for (int o = 0; o < kOuts; ++o)
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int step = 16; step > 0; step /= 2) sum[o][r] += __shfl_xor_sync(~0u, sum[o][r], step);

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (r >= g.rows) break;
    if constexpr (kPaired) {
      if (lane != r) continue;
      const float a = sum[0][r] + (g.output[0].bias == nullptr ? 0.0f : __bfloat162float(g.output[0].bias[out]));
      const float b = sum[kOuts - 1][r] + (g.output[1].bias == nullptr ? 0.0f : __bfloat162float(g.output[1].bias[out]));
      keep(output, r * output.out + out, activate(g.gate, a) * b);
    } else {
#pragma unroll
      for (int o = 0; o < kOuts; ++o) {
        if (lane != r * kOuts + o || out + o >= output.out) continue;
        const float bias = output.bias == nullptr ? 0.0f : __bfloat162float(output.bias[out + o]);
        keep(output, r * output.out + out + o, sum[o][r] + bias);
      }
    }
  }
}

template <int kRows, int kOuts, int kAhead, bool kPaired>
cudaError_t launch_gemv(const Gemv& g, cudaStream_t stream) {
  constexpr int kStep = kPaired ? 1 : kOuts;
  int64_t warps = 0;
  for (int j = 0; j < (kPaired ? 1 : g.outputs); ++j) warps += (g.output[j].out + kStep - 1) / kStep;
  const auto blocks = static_cast<unsigned>((warps + kGemvWarps - 1) / kGemvWarps);
  return launch_overlapped(gemv_kernel<kRows, kOuts, kAhead, kPaired>, blocks, kGemvWarps * 32, 0, stream, g);
}

}  // namespace headzip::cuda
