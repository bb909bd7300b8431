// backend_parity [cpu|cuda]: every operation of a backend against plain loops in double precision, at odd sizes. One line
// a group of cases; exits 1 when one of them failed, 2 when there is nothing to run them on.
#include <cstdio>
#include <cstring>

#include "cuda/info.h"
#include "error.h"
#include "group.h"

using namespace headzip;

int main(int count, char** arguments) {
  const char* device = count > 1 ? arguments[1] : "cpu";
  const bool cuda = std::strcmp(device, "cuda") == 0;
  if (count > 2 || (!cuda && std::strcmp(device, "cpu") != 0)) {
    std::fprintf(stderr, "usage: backend_parity [cpu|cuda]\n");
    return 2;
  }
  try {
    const auto backend = cuda ? make_cuda_backend(size_t{4} << 30, 0, false) : make_cpu_backend(0);
    parity::Rig rig(*backend);
    for (const auto cases : {parity::memory_cases, parity::embed_cases, parity::linear_cases, parity::norm_cases,
                             parity::rope_cases, parity::append_cases, parity::mlp_cases, parity::row_cases,
                             parity::argmax_cases, parity::finite_cases, parity::attention_cases, parity::window_cases,
                             parity::score_cases, parity::score_weight_cases, parity::decode_cases, parity::kv_layer_cases})
      cases(rig);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
  if (parity::failures() > 0) std::printf("%d groups failed on %s\n", parity::failures(), device);
  return parity::failures() == 0 ? 0 : 1;
}
