// gpu_ladder check [small|decode] | measure [decode]: the kernels held against naive ones, or timed. Needs nothing but the
// driver (and cuBLASLt for the GEMMs).
#include <cstdio>
#include <string_view>

#include "rig.h"

int main(int argc, char** argv) {
  using namespace headzip::cuda::dev;
  const std::string_view what = argc > 1 ? argv[1] : "", which = argc == 3 ? argv[2] : "";
  const bool known = argc == 2 || which == "decode" || (what == "check" && which == "small");
  if (known && what == "check") {
    const int wrong = (which == "decode" ? 0 : check_kernels(which == "small")) + (which == "small" ? 0 : check_decode());
    std::printf(wrong == 0 ? "all right\n" : "%d WRONG\n", wrong);
    return wrong == 0 ? 0 : 1;
  }
  if (known && what == "measure") {
    if (which != "decode") measure_kernels();
    measure_decode();
    return 0;
  }
  std::puts("usage: gpu_ladder check [small|decode] | measure [decode]");
  return 2;
}
