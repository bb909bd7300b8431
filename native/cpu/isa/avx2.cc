// Compiled with AVX2 and FMA switched on where the compiler and the target know them.
#if defined(__AVX2__) && defined(__FMA__)
#define HEADZIP_ISA          "avx2"
#define HEADZIP_VECTOR_BYTES 32
#include "table.h"
namespace headzip::cpu {
const Kernels* avx2_kernels() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kTable : nullptr; }
}  // namespace headzip::cpu
#else
#include "../kernels.h"
namespace headzip::cpu {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace headzip::cpu
#endif
