// Stands in for the CUDA backend where no CUDA compiler was found.
#include "../backend.h"
#include "../error.h"
#include "info.h"

namespace headzip {

namespace {
constexpr const char* kReason =
    "this build of the engine has no CUDA; with nvcc here, HEADZIP_BUILD=source npm rebuild headzip builds one that has";
}

namespace cuda {
Info info() {
  Info i;
  i.reason = kReason;
  return i;
}
}  // namespace cuda

std::unique_ptr<Backend> make_cuda_backend(size_t, uint64_t, bool) { throw Error(kReason); }

}  // namespace headzip
