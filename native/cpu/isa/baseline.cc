#define HEADZIP_ISA          "baseline"
#define HEADZIP_VECTOR_BYTES 16
#include "table.h"
namespace headzip::cpu {
const Kernels* baseline_kernels() { return &kTable; }
}  // namespace headzip::cpu
