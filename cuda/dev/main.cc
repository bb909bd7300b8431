// gpu_ladder check [small] | measure: the kernels held against naive ones, or timed. Needs nothing but the driver (and cuBLASLt
// for the products).
#include <cstdio>
#include <cstring>

#include "rig.h"

int main(int argc, char** argv) {
  if (argc >= 2 && std::strcmp(argv[1], "check") == 0)
    return headzip::cuda::dev::check_kernels(argc == 3 && std::strcmp(argv[2], "small") == 0) == 0 ? 0 : 1;
  if (argc == 2 && std::strcmp(argv[1], "measure") == 0) {
    headzip::cuda::dev::measure_kernels();
    return 0;
  }
  std::puts("usage: gpu_ladder check [small] | measure");
  return 2;
}
