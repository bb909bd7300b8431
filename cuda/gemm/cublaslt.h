// The few functions of cuBLASLt that the engine calls, declared by hand and found at run time: building needs no
// cuBLAS, and a machine without it still loads the addon. The numbers are the library's ABI, the same in 12 and 13;
// cublaslt_check.cc compares all of this with NVIDIA's header where that is installed.
#pragma once
#include <cuda_runtime_api.h>
#include <library_types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace headzip::cublaslt {

using Handle = void*;
using MatmulDesc = void*;
using Layout = void*;
using Preference = void*;
using Status = int;

enum : int {
  kSuccess = 0,
  kOpN = 0,
  kOpT = 1,
  kCompute32F = 68,
  kDescTransA = 3,
  kDescTransB = 4,
  kDescEpilogue = 7,
  kDescBias = 8,
  kEpilogueBias = 4,
  kPreferenceWorkspace = 1
};

struct Algo {
  std::uint64_t data[8];
};
struct Heuristic {
  Algo algo;
  std::size_t workspace;
  Status state;
  float waves;
  int reserved[4];
};

#define HEADZIP_CUBLASLT(X)                                                                                                 \
  X(cublasLtGetVersion, std::size_t, ())                                                                                    \
  X(cublasLtCreate, Status, (Handle*))                                                                                      \
  X(cublasLtDestroy, Status, (Handle))                                                                                      \
  X(cublasLtMatmulDescCreate, Status, (MatmulDesc*, int compute, cudaDataType_t scale))                                     \
  X(cublasLtMatmulDescDestroy, Status, (MatmulDesc))                                                                        \
  X(cublasLtMatmulDescSetAttribute, Status, (MatmulDesc, int, const void*, std::size_t))                                    \
  X(cublasLtMatrixLayoutCreate, Status, (Layout*, cudaDataType_t, std::uint64_t rows, std::uint64_t cols, std::int64_t ld)) \
  X(cublasLtMatrixLayoutDestroy, Status, (Layout))                                                                          \
  X(cublasLtMatmulPreferenceCreate, Status, (Preference*))                                                                  \
  X(cublasLtMatmulPreferenceDestroy, Status, (Preference))                                                                  \
  X(cublasLtMatmulPreferenceSetAttribute, Status, (Preference, int, const void*, std::size_t))                              \
  X(cublasLtMatmulAlgoGetHeuristic, Status,                                                                                 \
    (Handle, MatmulDesc, Layout a, Layout b, Layout c, Layout d, Preference, int want, Heuristic*, int* got))               \
  X(cublasLtMatmul, Status,                                                                                                 \
    (Handle, MatmulDesc, const void* alpha, const void* a, Layout, const void* b, Layout, const void* beta, const void* c,  \
     Layout, void* d, Layout, const Algo*, void* workspace, std::size_t bytes, cudaStream_t))

struct Api {
#define X(name, result, parameters) result(*name) parameters = nullptr;
  HEADZIP_CUBLASLT(X)
#undef X
  bool loaded = false;
  std::string path;    // what was opened
  std::string reason;  // why nothing was
};

// Opened on first use, once a process; thread-safe. Looks for version 13, then 12, by name, under $CUDA_PATH, in the
// toolkit's usual folder, and where pip's nvidia-cublas puts it ($HEADZIP_CUBLASLT names one file instead).
const Api& api();

}  // namespace headzip::cublaslt
