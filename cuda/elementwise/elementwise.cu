// Everything between the GEMMs: one pass over its bytes each, 16 bytes a thread where the shape allows.
#include "values.cuh"

namespace headzip::cuda {
namespace {

template <typename T>
__global__ void embed_kernel(const bf16* table, const int32_t* ids, int64_t rows, int64_t width, T* out) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const bf16* from = table + ids[row] * width;
    for (int64_t c = threadIdx.x; c < width; c += blockDim.x) out[row * width + c] = downcast<T>(upcast(from[c]));
  }
}

// Eight values a thread; head_dim a multiple of 8.
__global__ void append_kernel(const bf16* k, const bf16* v, int64_t rows, int64_t kv_heads, int64_t head_dim,
                              const HeadKv* heads, const int32_t* lengths, int64_t at) {
  const int64_t vectors = head_dim / 8, total = rows * kv_heads * vectors;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < total; i += int64_t{gridDim.x} * kThreads) {
    const int64_t vector = i % vectors, head = i / vectors % kv_heads, row = i / vectors / kv_heads;
    const int64_t first = lengths == nullptr ? at : lengths[head];
    const int64_t to = (first + row) * head_dim + vector * 8;
    *reinterpret_cast<Eight*>(heads[head].k + to) = reinterpret_cast<const Eight*>(k)[i];
    if (v != nullptr) *reinterpret_cast<Eight*>(heads[head].v + to) = reinterpret_cast<const Eight*>(v)[i];
  }
}

__device__ __forceinline__ float silu(float x) { return x / (1 + __expf(-x)); }
__device__ __forceinline__ float gelu_tanh(float x) {
  return 0.5f * x * (1 + tanhf(0.797884560802865f * (x + 0.044715f * x * x * x)));
}

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
    x[i] = downcast<T>(upcast(x[i]) * factor);
}

__global__ void gather_rows_kernel(const bf16* x, const int32_t* index, int64_t count, int64_t width, bf16* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * width; i += int64_t{gridDim.x} * kThreads)
    out[i] = x[index[i / width] * width + i % width];
}

template <typename T>
__global__ void scatter_add_rows_kernel(const bf16* x, const int32_t* index, const float* weight, int64_t count, int64_t width,
                                        T* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * width; i += int64_t{gridDim.x} * kThreads) {
    T* to = out + index[i / width] * width + i % width;
    *to = downcast<T>(upcast(*to) + weight[i / width] * upcast(x[i]));
  }
}

template <typename T>
__global__ void bias_kernel(T* x, const bf16* bias, int64_t rows, int64_t width) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < rows * width; i += int64_t{gridDim.x} * kThreads)
    x[i] = downcast<T>(upcast(x[i]) + upcast(bias[i % width]));
}

template <typename In, typename Out>
__global__ void convert_kernel(const In* in, int64_t count, Out* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads)
    out[i] = downcast<Out>(upcast(in[i]));
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
  const int64_t vectors = head_dim / 8;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count * vectors; i += int64_t{gridDim.x} * kThreads) {
    const int64_t source = index[i / vectors] * vectors + i % vectors;
    reinterpret_cast<Eight*>(to.k)[i] = reinterpret_cast<const Eight*>(from.k)[source];
    reinterpret_cast<Eight*>(to.v)[i] = reinterpret_cast<const Eight*>(from.v)[source];
  }
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

cudaError_t append_kv(const bf16* k, const bf16* v, int64_t rows, int64_t kv_heads, int64_t head_dim, const HeadKv* heads,
                      const int32_t* lengths, int64_t at, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (head_dim % 8 != 0) return cudaErrorInvalidValue;
  append_kernel<<<blocks(rows * kv_heads * head_dim / 8), kThreads, 0, stream>>>(k, v, rows, kv_heads, head_dim, heads, lengths,
                                                                                 at);
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

cudaError_t gather_kv(const HeadKv& from, const int32_t* index, int64_t count, int64_t head_dim, const HeadKv& to,
                      cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  if (head_dim % 8 != 0) return cudaErrorInvalidValue;
  gather_kernel<<<blocks(count * head_dim / 8), kThreads, 0, stream>>>(from, index, count, head_dim, to);
  return cudaGetLastError();
}

}  // namespace headzip::cuda
