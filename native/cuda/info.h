// What this process can do with CUDA. Free of CUDA types, so that a build without a CUDA compiler has it too.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace headzip {

class Backend;

namespace cuda {

struct Info {
  std::string name;        // of the GPU
  int compute = 0;         // 90: compute capability 9.0
  size_t memory = 0;       // bytes in all
  std::string cublaslt;    // the library that was opened
  std::string reason;      // why CUDA cannot be used; empty when it can
};
Info info();

}  // namespace cuda

// `memory_limit` 0: what is free. `random_seed` other than 0: random weights, for benchmarks. Throws Error when there is
// no usable GPU.
std::unique_ptr<Backend> make_cuda_backend(size_t memory_limit, uint64_t random_seed, bool timed);

}  // namespace headzip
