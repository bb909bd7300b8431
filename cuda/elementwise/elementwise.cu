// Everything between the products: one pass over its bytes each, 16 bytes a thread where the shape allows.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

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

__global__ void embed_kernel(const bf16* table, const int32_t* ids, int64_t rows, int64_t width, bf16* out) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const bf16* from = table + ids[row] * width;
    for (int64_t c = threadIdx.x; c < width; c += blockDim.x) out[row * width + c] = from[c];
  }
}

// One block a row; width even.
template <bool kAdd>
__global__ void rms_norm_kernel(const bf16* x, const bf16* weight, float eps, float offset, int64_t width, bf16* out) {
  __shared__ float warps[kThreads / 32];
  const auto* row = reinterpret_cast<const __nv_bfloat162*>(x + blockIdx.x * width);
  const auto* w = reinterpret_cast<const __nv_bfloat162*>(weight);
  auto* to = reinterpret_cast<__nv_bfloat162*>(out + blockIdx.x * width);
  float squares = 0;
  for (int64_t c = threadIdx.x; c < width / 2; c += kThreads) {
    const float2 v = __bfloat1622float2(row[c]);
    squares += v.x * v.x + v.y * v.y;
  }
  for (int step = 16; step > 0; step /= 2) squares += __shfl_xor_sync(~0u, squares, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = squares;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < kThreads / 32; ++i) sum += warps[i];
  const float factor = rsqrtf(sum / static_cast<float>(width) + eps);
  for (int64_t c = threadIdx.x; c < width / 2; c += kThreads) {
    const float2 v = __bfloat1622float2(row[c]), scale = __bfloat1622float2(w[c]);
    // Without an offset the normalised value is rounded before the weight multiplies it, as the published modules do.
    float2 n = {v.x * factor, v.y * factor};
    if (offset == 0) n = __bfloat1622float2(__floats2bfloat162_rn(n.x, n.y));
    n = {n.x * (offset + scale.x), n.y * (offset + scale.y)};
    if (kAdd) {
      const float2 before = __bfloat1622float2(to[c]), part = __bfloat1622float2(__floats2bfloat162_rn(n.x, n.y));
      n = {before.x + part.x, before.y + part.y};
    }
    to[c] = __floats2bfloat162_rn(n.x, n.y);
  }
}

// A thread turns one pair of a row in every head.
__global__ void rope_kernel(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position,
                            const float* inv_freq, float scale) {
  const int64_t total = rows * pairs;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < total; i += int64_t{gridDim.x} * kThreads) {
    const int64_t row = i / pairs, d = i % pairs;
    float sine, cosine;
    // The angle is rounded to fp32 first, as transformers does; reduced exactly, for positions past 100,000.
    sincosf(static_cast<float>(position + row) * inv_freq[d], &sine, &cosine);
    sine *= scale;
    cosine *= scale;
    bf16* at = x + row * heads * head_dim + d;
    for (int64_t h = 0; h < heads; ++h, at += head_dim) {
      const float a = __bfloat162float(at[0]), b = __bfloat162float(at[pairs]);
      at[0] = __float2bfloat16_rn(a * cosine - b * sine);
      at[pairs] = __float2bfloat16_rn(b * cosine + a * sine);
    }
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
    // Rounded between the two, as the published modules do.
    const float2 s = __bfloat1622float2(__floats2bfloat162_rn(F(a.x), F(a.y)));
    g[i] = __floats2bfloat162_rn(s.x * b.x, s.y * b.y);
  }
}

__global__ void scale_kernel(bf16* x, int64_t count, float factor) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads)
    x[i] = __float2bfloat16_rn(__bfloat162float(x[i]) * factor);
}

__global__ void gather_rows_kernel(const bf16* x, const int32_t* index, int64_t count, int64_t width, bf16* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * width; i += int64_t{gridDim.x} * kThreads)
    out[i] = x[index[i / width] * width + i % width];
}

__global__ void scatter_add_rows_kernel(const bf16* x, const int32_t* index, const float* weight, int64_t count, int64_t width,
                                        bf16* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * width; i += int64_t{gridDim.x} * kThreads) {
    bf16* to = out + index[i / width] * width + i % width;
    *to = __float2bfloat16_rn(__bfloat162float(*to) + weight[i / width] * __bfloat162float(x[i]));
  }
}

__global__ void bias_kernel(bf16* x, const bf16* bias, int64_t rows, int64_t width) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < rows * width; i += int64_t{gridDim.x} * kThreads)
    x[i] = __float2bfloat16_rn(__bfloat162float(x[i]) + __bfloat162float(bias[i % width]));
}

__global__ void finite_kernel(const bf16* x, int64_t pairs, int32_t* flag) {
  const auto* bits = reinterpret_cast<const uint32_t*>(x);
  bool bad = false;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < pairs; i += int64_t{gridDim.x} * kThreads)
    bad |= (bits[i] & 0x7f80u) == 0x7f80u || (bits[i] & 0x7f800000u) == 0x7f800000u;
  if (bad) *flag = 1;
}

template <typename T>
__device__ float widen(T x);
template <>
__device__ float widen(float x) { return x; }
template <>
__device__ float widen(__half x) { return __half2float(x); }

template <typename T>
__global__ void to_bf16_kernel(const T* in, int64_t count, bf16* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads)
    out[i] = __float2bfloat16_rn(widen(in[i]));
}

__global__ void to_float_kernel(const bf16* in, int64_t count, float* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads)
    out[i] = __bfloat162float(in[i]);
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

}  // namespace

cudaError_t embed(const bf16* table, const int32_t* ids, int64_t rows, int64_t width, bf16* out, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  embed_kernel<<<static_cast<int>(rows < (1 << 20) ? rows : (1 << 20)), kThreads, 0, stream>>>(table, ids, rows, width, out);
  return cudaGetLastError();
}

cudaError_t scale(bf16* x, int64_t count, float factor, cudaStream_t stream) {
  scale_kernel<<<blocks(count), kThreads, 0, stream>>>(x, count, factor);
  return cudaGetLastError();
}

cudaError_t rms_norm(const bf16* x, const bf16* weight, float eps, float offset, bool add, int64_t rows, int64_t width, bf16* out,
                     cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (width % 2 != 0) return cudaErrorInvalidValue;
  const auto kernel = add ? rms_norm_kernel<true> : rms_norm_kernel<false>;
  kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, weight, eps, offset, width, out);
  return cudaGetLastError();
}

cudaError_t rope(bf16* x, int64_t rows, int64_t heads, int64_t head_dim, int64_t pairs, int64_t position, const float* inv_freq,
                 float scale, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  rope_kernel<<<blocks(rows * pairs), kThreads, 0, stream>>>(x, rows, heads, head_dim, pairs, position, inv_freq, scale);
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

cudaError_t scatter_add_rows(const bf16* x, const int32_t* index, const float* weight, int64_t count, int64_t width, bf16* out,
                             cudaStream_t stream) {
  scatter_add_rows_kernel<<<blocks(count * width), kThreads, 0, stream>>>(x, index, weight, count, width, out);
  return cudaGetLastError();
}

cudaError_t add_bias(bf16* x, const bf16* bias, int64_t rows, int64_t width, cudaStream_t stream) {
  bias_kernel<<<blocks(rows * width), kThreads, 0, stream>>>(x, bias, rows, width);
  return cudaGetLastError();
}

cudaError_t find_not_finite(const bf16* x, int64_t count, int32_t* flag, cudaStream_t stream) {
  if (count % 2 != 0) return cudaErrorInvalidValue;
  finite_kernel<<<blocks(count / 16), kThreads, 0, stream>>>(x, count / 2, flag);
  return cudaGetLastError();
}

cudaError_t to_bf16(const void* in, int type, int64_t count, bf16* out, cudaStream_t stream) {
  if (type == 2) return cudaMemcpyAsync(out, in, count * 2, cudaMemcpyDeviceToDevice, stream);
  if (type == 1) to_bf16_kernel<<<blocks(count), kThreads, 0, stream>>>(static_cast<const __half*>(in), count, out);
  else to_bf16_kernel<<<blocks(count), kThreads, 0, stream>>>(static_cast<const float*>(in), count, out);
  return cudaGetLastError();
}

cudaError_t fill_normal(bf16* out, int64_t count, float mean, float deviation, uint64_t seed, cudaStream_t stream) {
  normal_kernel<<<blocks(count), kThreads, 0, stream>>>(out, count, mean, deviation, seed);
  return cudaGetLastError();
}

cudaError_t to_float(const bf16* in, int64_t count, float* out, cudaStream_t stream) {
  to_float_kernel<<<blocks(count), kThreads, 0, stream>>>(in, count, out);
  return cudaGetLastError();
}

cudaError_t gather_kv(const HeadKv& from, const int32_t* index, int64_t count, int64_t head_dim, const HeadKv& to, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  if (head_dim % 8 != 0) return cudaErrorInvalidValue;
  gather_kernel<<<blocks(count * head_dim / 8), kThreads, 0, stream>>>(from, index, count, head_dim, to);
  return cudaGetLastError();
}

}  // namespace headzip::cuda
