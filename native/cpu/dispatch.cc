#include <cstdlib>
#include <string_view>

#include "../error.h"
#include "kernels.h"

namespace headzip::cpu {

namespace {
const Kernels* named(std::string_view name) {
  for (const Kernels* k : {avx512_kernels(), avx2_kernels(), baseline_kernels()})
    if (k != nullptr && (name.empty() || name == k->name)) return k;
  return nullptr;
}
}  // namespace

const Kernels& widest_kernels() {
  static const Kernels& widest = *named("");
  return widest;
}

const Kernels& kernels() {
  const char* asked = std::getenv("HEADZIP_CPU");
  const std::string_view wanted = asked == nullptr ? "" : asked;
  if (const Kernels* k = named(wanted)) return *k;
  throw Error("HEADZIP_CPU=" + std::string(wanted) +
              " is not one of the instruction sets this processor runs (baseline, avx2, avx512)");
}

}  // namespace headzip::cpu
