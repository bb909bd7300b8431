// Tensor maps for TMA, made on the host. The driver's encoder is found at run time: nothing to link.
#pragma once
#include "../types.h"

namespace headzip::cuda {

// rows (rows, head_dim) of bf16, `row_stride` elements apart, for `heads` heads that lie `head_stride` elements apart.
struct MappedArray {
  const bf16* data;
  int64_t head_dim, rows, row_stride, heads, head_stride;
};

// Boxes of (box_rows, 64 columns) with 128-byte swizzle; rows past the end read as zeros. heads == 1 gives a map of two
// dimensions, else of three (column, row, head). cudaErrorNotSupported where the driver has no tensor maps.
cudaError_t encode(const MappedArray& array, int box_rows, TensorMap* out);

}  // namespace headzip::cuda
