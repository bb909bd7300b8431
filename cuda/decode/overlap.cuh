// Programmatic dependent launch (PDL): kernels of a step that start while the one before still runs. What they need of it they wait for, what is constant while
// the step runs (weights, the context's keys and values) they may already read. On compute capability 9.0 and up.
#pragma once
#include <cuda_runtime.h>

namespace headzip::cuda {

// Until everything before this kernel is done, its writes to be seen.
__device__ __forceinline__ void grid_dependency_synchronize() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// The kernel after this one may take block slots that are free.
__device__ __forceinline__ void launch_dependents() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Whether launches may overlap here: the GPU's and the driver's word, or none where it was turned off.
bool overlaps();

// A kernel that calls grid_dependency_synchronize() before it touches what others write.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_overlapped(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                              Arguments&&... arguments) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = overlaps() ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace headzip::cuda
