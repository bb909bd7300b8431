#include "info.h"

#include <cuda_runtime_api.h>

#include "../../cuda/gemm/cublaslt.h"
#include "../../cuda/launch.h"

namespace headzip::cuda {

Info info() {
  Info i;
  int devices = 0, driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) {
    i.reason = "no usable NVIDIA GPU: no NVIDIA driver is installed";
    return i;
  }
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted != cudaSuccess || devices == 0) {
    cudaGetLastError();
    i.reason = std::string("no usable NVIDIA GPU: ") + (counted == cudaSuccess ? "none is there" : cudaGetErrorString(counted));
    return i;
  }
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, 0); status != cudaSuccess) {
    cudaGetLastError();
    i.reason = std::string("the NVIDIA GPU does not answer: ") + cudaGetErrorString(status);
    return i;
  }
  i.name = properties.name;
  i.compute = properties.major * 10 + properties.minor;
  i.memory = properties.totalGlobalMem;
  i.cublaslt = cublaslt::api().path;
  const std::string capability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  if (i.compute < 80) i.reason = "the NVIDIA GPU " + i.name + " has compute capability " + capability + "; 8.0 is needed";
  else if (const cudaError_t found = find_kernels(); found != cudaSuccess)
    i.reason = "this build has no code for the NVIDIA GPU " + i.name + " (compute capability " + capability +
               "): " + cudaGetErrorString(found) + "; build it again with CUDAARCHS=" + std::to_string(i.compute);
  else if (!cublaslt::api().loaded) i.reason = cublaslt::api().reason;
  return i;
}

}  // namespace headzip::cuda
