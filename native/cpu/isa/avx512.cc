// Compiled with AVX-512 (F, BW, DQ, VL) switched on where the compiler and the target know it.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define HEADZIP_ISA          "avx512"
#define HEADZIP_VECTOR_BYTES 64
#include "table.h"
namespace headzip::cpu {
const Kernels* avx512_kernels() {
  const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return has ? &kTable : nullptr;
}
}  // namespace headzip::cpu
#else
#include "../kernels.h"
namespace headzip::cpu {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace headzip::cpu
#endif
