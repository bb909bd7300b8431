#include "tensor_map.h"

#include <cuda.h>
#include <cuda_runtime_api.h>

namespace headzip::cuda {

namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode encoder() {
  static const Encode found = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result{};
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
    return status == cudaSuccess && result == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function) : nullptr;
  }();
  return found;
}

}  // namespace

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));

cudaError_t encode(const MappedArray& a, int box_rows, TensorMap* out) {
  const Encode call = encoder();
  if (call == nullptr) return cudaErrorNotSupported;
  const cuuint32_t rank = a.heads == 1 ? 2 : 3;
  const cuuint64_t sizes[3] = {static_cast<cuuint64_t>(a.head_dim), static_cast<cuuint64_t>(a.rows),
                               static_cast<cuuint64_t>(a.heads)};
  const cuuint64_t strides[2] = {static_cast<cuuint64_t>(a.row_stride) * 2, static_cast<cuuint64_t>(a.head_stride) * 2};
  const cuuint32_t box[3] = {64, static_cast<cuuint32_t>(box_rows), 1}, steps[3] = {1, 1, 1};
  const CUresult status =
      call(reinterpret_cast<CUtensorMap*>(out), CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, rank, const_cast<bf16*>(a.data), sizes,
           strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
           CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return status == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace headzip::cuda
