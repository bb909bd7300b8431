// RMS norms, of the residual stream and of single heads.
#include <type_traits>

#include "../decode/overlap.cuh"
#include "values.cuh"

namespace headzip::cuda {
namespace {

// One block a row.
template <bool kAdd, typename In, typename Out>
__global__ void rms_norm_kernel(const In* x, const bf16* weight, float eps, float offset, int64_t width, Out* out,
                                int32_t* flag) {
  __shared__ float warps[kThreads / 32];
  grid_dependency_synchronize();
  launch_dependents();
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
    float4 n = {v.x * factor * (offset + w.x), v.y * factor * (offset + w.y), v.z * factor * (offset + w.z),
                v.w * factor * (offset + w.w)};
    if (kAdd) {
      const float4 before = load4(to + c);
      n = {before.x + n.x, before.y + n.y, before.z + n.z, before.w + n.w};
    }
    store4(to + c, n);
  }
}

}  // namespace

cudaError_t rms_norm(Values x, const bf16* weight, float eps, float offset, bool add, int64_t rows, int64_t width, Values out,
                     int32_t* flag, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;
  if (width % 4 != 0) return cudaErrorInvalidValue;
  const auto grid = static_cast<unsigned>(rows);
  return with(x, [&](auto* from) {
    with(out, [&](auto* to) {
      using In = std::remove_pointer_t<decltype(from)>;
      using Out = std::remove_pointer_t<decltype(to)>;
      launch_overlapped(add ? rms_norm_kernel<true, In, Out> : rms_norm_kernel<false, In, Out>, grid, kThreads, 0, stream, from,
                        weight, eps, offset, width, to, flag);
    });
  });
}

}  // namespace headzip::cuda
