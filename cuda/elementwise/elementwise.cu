// Everything between the products: one pass over its bytes each, 16 bytes a thread where the shape allows.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "../decode/overlap.cuh"
#include "../launch.h"

namespace headzip::cuda {
namespace {

constexpr int kThreads = 256;

int blocks(int64_t items) {
  const int64_t n = (items + kThreads - 1) / kThreads;
  return static_cast<int>(n < 1 ? 1 : n > (1 << 20) ? (1 << 20) : n);
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
__device__ __forceinline__ float widen(T x) { return static_cast<float>(x); }
template <typename T>
__device__ __forceinline__ T narrow(float x);
template <>
__device__ __forceinline__ float narrow(float x) { return x; }
template <>
__device__ __forceinline__ bf16 narrow(float x) { return __float2bfloat16_rn(x); }

template <typename T>
__global__ void embed_kernel(const bf16* table, const int32_t* ids, int64_t rows, int64_t width, T* out) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const bf16* from = table + ids[row] * width;
    for (int64_t c = threadIdx.x; c < width; c += blockDim.x) out[row * width + c] = narrow<T>(widen(from[c]));
  }
}

// One block a row.
template <bool kAdd, typename In, typename Out>
__global__ void rms_norm_kernel(const In* x, const bf16* weight, float eps, float offset, int64_t width, Out* out, int32_t* flag) {
  __shared__ float warps[kThreads / 32];
  wait_for_last();
  let_next_start();
  const In* row = x + blockIdx.x * width;
  Out* to = out + blockIdx.x * width;
  float squares = 0;
  for (int64_t c = threadIdx.x * 4; c < width; c += kThreads * 4) {
    const float4 v = load4(row + c);
    squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  for (int step = 16; step > 0; step /= 2) squares += __shfl_xor_sync(~0u, squares, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = squares;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < kThreads / 32; ++i) sum += warps[i];
  if (threadIdx.x == 0 && !isfinite(sum)) *flag = 1;
  const float factor = rsqrtf(sum / static_cast<float>(width) + eps);
  for (int64_t c = threadIdx.x * 4; c < width; c += kThreads * 4) {
    const float4 v = load4(row + c), w = load4(weight + c);
    float4 n = {v.x * factor * (offset + w.x), v.y * factor * (offset + w.y), v.z * factor * (offset + w.z), v.w * factor * (offset + w.w)};
    if (kAdd) {
      const float4 before = load4(to + c);
      n = {before.x + n.x, before.y + n.y, before.z + n.z, before.w + n.w};
    }
    store4(to + c, n);
  }
}

__device__ __forceinline__ void turn_of(float position, float inv_freq, float scale, float& sine, float& cosine) {
  // The angle is rounded to fp32 first, as transformers does; reduced exactly, for positions past 100,000.
  sincosf(position * inv_freq, &sine, &cosine);
  sine *= scale;
  cosine *= scale;
}

// A thread turns one pair of a row in every head.
__global__ void rope_kernel(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position,
                            const float* inv_freq, float scale, bool adjacent, int32_t* flag) {
  const int64_t total = rows * pairs, step = adjacent ? 2 : 1, apart = adjacent ? 1 : pairs;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < total; i += int64_t{gridDim.x} * kThreads) {
    const int64_t row = i / pairs, d = i % pairs;
    float sine, cosine;
    bool bad = false;
    turn_of(static_cast<float>(position + row), inv_freq[d], scale, sine, cosine);
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
    for (int j = 0; j < 8; ++j) turn_of(static_cast<float>(position + row), inv_freq[d + j], scale, sine[j], cosine[j]);
    bf16* at = x + row * heads * head_dim + d;
    for (int64_t h = 0; h < heads; ++h, at += head_dim) {
      Eight low = *reinterpret_cast<const Eight*>(at), high = *reinterpret_cast<const Eight*>(at + pairs);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float2 a = __bfloat1622float2(low.pair[j]), b = __bfloat1622float2(high.pair[j]);
        bad |= !isfinite(a.x) || !isfinite(a.y) || !isfinite(b.x) || !isfinite(b.y);
        low.pair[j] = __floats2bfloat162_rn(a.x * cosine[2 * j] - b.x * sine[2 * j], a.y * cosine[2 * j + 1] - b.y * sine[2 * j + 1]);
        high.pair[j] = __floats2bfloat162_rn(b.x * cosine[2 * j] + a.x * sine[2 * j], b.y * cosine[2 * j + 1] + a.y * sine[2 * j + 1]);
      }
      *reinterpret_cast<Eight*>(at) = low;
      *reinterpret_cast<Eight*>(at + pairs) = high;
    }
    if (bad) *flag = 1;
  }
}

// Eight values a thread; head_dim a multiple of 8.
__global__ void append_kernel(const bf16* k, const bf16* v, int64_t rows, int64_t kv_heads, int64_t head_dim, const HeadKv* heads,
                              const int32_t* lengths, int64_t at) {
  const int64_t pieces = head_dim / 8, total = rows * kv_heads * pieces;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < total; i += int64_t{gridDim.x} * kThreads) {
    const int64_t piece = i % pieces, head = i / pieces % kv_heads, row = i / pieces / kv_heads;
    const int64_t first = lengths == nullptr ? at : lengths[head];
    const int64_t to = (first + row) * head_dim + piece * 8;
    *reinterpret_cast<Eight*>(heads[head].k + to) = reinterpret_cast<const Eight*>(k)[i];
    if (v != nullptr) *reinterpret_cast<Eight*>(heads[head].v + to) = reinterpret_cast<const Eight*>(v)[i];
  }
}

__device__ __forceinline__ float silu(float x) { return x / (1 + __expf(-x)); }
__device__ __forceinline__ float gelu_tanh(float x) { return 0.5f * x * (1 + tanhf(0.797884560802865f * (x + 0.044715f * x * x * x))); }

template <float F(float)>
__global__ void gate_mul_kernel(bf16* gate, const bf16* up, int64_t pairs) {
  auto* g = reinterpret_cast<__nv_bfloat162*>(gate);
  const auto* u = reinterpret_cast<const __nv_bfloat162*>(up);
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < pairs; i += int64_t{gridDim.x} * kThreads) {
    const float2 a = __bfloat1622float2(g[i]), b = __bfloat1622float2(u[i]);
    g[i] = __floats2bfloat162_rn(F(a.x) * b.x, F(a.y) * b.y);
  }
}

template <typename T>
__global__ void scale_kernel(T* x, int64_t count, float factor) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads)
    x[i] = narrow<T>(widen(x[i]) * factor);
}

__global__ void gather_rows_kernel(const bf16* x, const int32_t* index, int64_t count, int64_t width, bf16* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * width; i += int64_t{gridDim.x} * kThreads)
    out[i] = x[index[i / width] * width + i % width];
}

template <typename T>
__global__ void scatter_add_rows_kernel(const bf16* x, const int32_t* index, const float* weight, int64_t count, int64_t width, T* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * width; i += int64_t{gridDim.x} * kThreads) {
    T* to = out + index[i / width] * width + i % width;
    *to = narrow<T>(widen(*to) + weight[i / width] * widen(x[i]));
  }
}

template <typename T>
__global__ void bias_kernel(T* x, const bf16* bias, int64_t rows, int64_t width) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < rows * width; i += int64_t{gridDim.x} * kThreads)
    x[i] = narrow<T>(widen(x[i]) + widen(bias[i % width]));
}

template <typename In, typename Out>
__global__ void convert_kernel(const In* in, int64_t count, Out* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads)
    out[i] = narrow<Out>(widen(in[i]));
}

// Counter-based: the number at an index depends on nothing else (SplitMix64's mixing, Box and Muller's transform).
__device__ __forceinline__ uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}
__global__ void normal_kernel(bf16* out, int64_t count, float mean, float deviation, uint64_t seed) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads) {
    const uint64_t bits = mixed(seed ^ mixed(static_cast<uint64_t>(i)));
    const float u = (static_cast<float>(bits >> 40) + 1) * 0x1p-24f, v = static_cast<float>(bits & 0xffffff) * 0x1p-24f;
    out[i] = __float2bfloat16_rn(mean + deviation * sqrtf(-2 * logf(u)) * cospif(2 * v));
  }
}

__global__ void gather_kernel(HeadKv from, const int32_t* index, int64_t count, int64_t head_dim, HeadKv to) {
  const int64_t pieces = head_dim / 8;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * pieces; i += int64_t{gridDim.x} * kThreads) {
    const int64_t source = index[i / pieces] * pieces + i % pieces;
    reinterpret_cast<Eight*>(to.k)[i] = reinterpret_cast<const Eight*>(from.k)[source];
    reinterpret_cast<Eight*>(to.v)[i] = reinterpret_cast<const Eight*>(from.v)[source];
  }
}

// Calls `launch` with the array as what it is, then tells how the launch went.
template <typename F>
cudaError_t with(Values v, F&& launch) {
  if (v.wide) launch(static_cast<float*>(v.data));
  else launch(static_cast<bf16*>(v.data));
  return cudaGetLastError();
}

}  // namespace

cudaError_t find_kernels() {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, scale_kernel<float>);
  if (status != cudaSuccess) cudaGetLastError();  // it is told, not left behind
  return status;
}

cudaError_t embed(const bf16* table, const int32_t* ids, int64_t rows, int64_t width, Values out, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  const int grid = static_cast<int>(rows < (1 << 20) ? rows : (1 << 20));
  return with(out, [&](auto* to) { embed_kernel<<<grid, kThreads, 0, stream>>>(table, ids, rows, width, to); });
}

cudaError_t scale(Values x, int64_t count, float factor, cudaStream_t stream) {
  return with(x, [&](auto* at) { scale_kernel<<<blocks(count), kThreads, 0, stream>>>(at, count, factor); });
}

cudaError_t rms_norm(Values x, const bf16* weight, float eps, float offset, bool add, int64_t rows, int64_t width, Values out,
                     int32_t* flag, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (width % 4 != 0) return cudaErrorInvalidValue;
  const auto grid = static_cast<unsigned>(rows);
  return with(x, [&](auto* from) {
    with(out, [&](auto* to) {
      using In = std::remove_pointer_t<decltype(from)>;
      using Out = std::remove_pointer_t<decltype(to)>;
      launch_overlapped(add ? rms_norm_kernel<true, In, Out> : rms_norm_kernel<false, In, Out>, grid, kThreads, 0, stream, from, weight, eps,
                        offset, width, to, flag);
    });
  });
}

cudaError_t rope(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position, const float* inv_freq,
                 float scale, bool adjacent, int32_t* flag, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (!adjacent && pairs % 8 == 0 && head_dim % 8 == 0)
    rope_eights_kernel<<<blocks(rows * pairs / 8), kThreads, 0, stream>>>(x, rows, heads, head_dim, pairs, position, inv_freq, scale, flag);
  else
    rope_kernel<<<blocks(rows * pairs), kThreads, 0, stream>>>(x, rows, heads, head_dim, pairs, position, inv_freq, scale, adjacent, flag);
  return cudaGetLastError();
}

cudaError_t append_kv(const bf16* k, const bf16* v, int64_t rows, int64_t kv_heads, int64_t head_dim, const HeadKv* heads,
                      const int32_t* lengths, int64_t at, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (head_dim % 8 != 0) return cudaErrorInvalidValue;
  append_kernel<<<blocks(rows * kv_heads * head_dim / 8), kThreads, 0, stream>>>(k, v, rows, kv_heads, head_dim, heads, lengths, at);
  return cudaGetLastError();
}

cudaError_t silu_mul(bf16* gate, const bf16* up, int64_t count, cudaStream_t stream) {
  if (count % 2 != 0) return cudaErrorInvalidValue;
  gate_mul_kernel<silu><<<blocks(count / 2), kThreads, 0, stream>>>(gate, up, count / 2);
  return cudaGetLastError();
}

cudaError_t gelu_tanh_mul(bf16* gate, const bf16* up, int64_t count, cudaStream_t stream) {
  if (count % 2 != 0) return cudaErrorInvalidValue;
  gate_mul_kernel<gelu_tanh><<<blocks(count / 2), kThreads, 0, stream>>>(gate, up, count / 2);
  return cudaGetLastError();
}

cudaError_t gather_rows(const bf16* x, const int32_t* index, int64_t count, int64_t width, bf16* out, cudaStream_t stream) {
  gather_rows_kernel<<<blocks(count * width), kThreads, 0, stream>>>(x, index, count, width, out);
  return cudaGetLastError();
}

cudaError_t scatter_add_rows(const bf16* x, const int32_t* index, const float* weight, int64_t count, int64_t width, Values out,
                             cudaStream_t stream) {
  return with(out, [&](auto* to) {
    scatter_add_rows_kernel<<<blocks(count * width), kThreads, 0, stream>>>(x, index, weight, count, width, to);
  });
}

cudaError_t add_bias(Values x, const bf16* bias, int64_t rows, int64_t width, cudaStream_t stream) {
  return with(x, [&](auto* at) { bias_kernel<<<blocks(rows * width), kThreads, 0, stream>>>(at, bias, rows, width); });
}

cudaError_t convert(const void* in, int type, int64_t count, Values out, cudaStream_t stream) {
  return with(out, [&](auto* to) {
    const auto from = [&](auto* stored) { convert_kernel<<<blocks(count), kThreads, 0, stream>>>(stored, count, to); };
    if (type == 2) from(static_cast<const bf16*>(in));
    else if (type == 1) from(static_cast<const __half*>(in));
    else from(static_cast<const float*>(in));
  });
}

cudaError_t fill_normal(bf16* out, int64_t count, float mean, float deviation, uint64_t seed, cudaStream_t stream) {
  normal_kernel<<<blocks(count), kThreads, 0, stream>>>(out, count, mean, deviation, seed);
  return cudaGetLastError();
}

cudaError_t gather_kv(const HeadKv& from, const int32_t* index, int64_t count, int64_t head_dim, const HeadKv& to, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  if (head_dim % 8 != 0) return cudaErrorInvalidValue;
  gather_kernel<<<blocks(count * head_dim / 8), kThreads, 0, stream>>>(from, index, count, head_dim, to);
  return cudaGetLastError();
}

}  // namespace headzip::cuda
