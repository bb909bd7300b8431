// gpu_ladder check | measure [decode]: the kernels held against naive ones, or timed. Needs nothing but the driver (and cuBLASLt
// for the products).
#include <cstdio>
#include <cstring>

#include "rig.h"

int main(int argc, char** argv) {
  using namespace headzip::cuda::dev;
  const char* what = argc > 1 ? argv[1] : "";
  const bool decode_only = argc == 3 && std::strcmp(argv[2], "decode") == 0;
  if (argc == 2 || decode_only) {
    if (std::strcmp(what, "check") == 0) {
      const int wrong = (decode_only ? 0 : check_kernels()) + check_decode();
      std::printf(wrong == 0 ? "all right\n" : "%d WRONG\n", wrong);
      return wrong == 0 ? 0 : 1;
    }
    if (std::strcmp(what, "measure") == 0) {
      if (!decode_only) measure_kernels();
      measure_decode();
      return 0;
    }
  }
  std::puts("usage: gpu_ladder check | measure [decode]");
  return 2;
}
