#include "gemv.cuh"

namespace headzip::cuda {

cudaError_t gemv(const Gemv& g, cudaStream_t stream) {
  if (g.rows == 0 || g.outputs == 0) return cudaSuccess;
  if (g.in % 8 != 0 || g.rows > kMostGemvRows || g.outputs > kMaxGemvOutputs) return cudaErrorInvalidValue;
  if (g.gate != Gate::kNone) {
    if (g.outputs != 2 || g.output[0].out != g.output[1].out || g.output[0].add) return cudaErrorInvalidValue;
    if (g.rows == 1) return launch_gemv<1, 2, 4, true>(g, stream);
    if (g.rows == 2) return launch_gemv<2, 2, 4, true>(g, stream);
    if (g.rows <= 4) return launch_gemv<4, 2, 4, true>(g, stream);
    return launch_gemv<8, 2, 2, true>(g, stream);
  }
  if (g.rows == 1) return launch_gemv<1, 1, 8, false>(g, stream);
  if (g.rows == 2) return launch_gemv<2, 1, 4, false>(g, stream);
  if (g.rows <= 4) return launch_gemv<4, 2, 4, false>(g, stream);
  return launch_gemv<8, 2, 2, false>(g, stream);
}

}  // namespace headzip::cuda
