// Compiled only where NVIDIA's header is installed; makes no code, compares our declarations with it.
#include <cublasLt.h>

#include <type_traits>

#include "cublaslt.h"

namespace ours = headzip::cublaslt;

#define SAME(a, b) static_assert(static_cast<int>(a) == static_cast<int>(b), #a)
SAME(ours::kSuccess, CUBLAS_STATUS_SUCCESS);
SAME(ours::kOpN, CUBLAS_OP_N);
SAME(ours::kOpT, CUBLAS_OP_T);
SAME(ours::kCompute32F, CUBLAS_COMPUTE_32F);
SAME(ours::kDescTransA, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(ours::kDescTransB, CUBLASLT_MATMUL_DESC_TRANSB);
SAME(ours::kDescEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME(ours::kDescBias, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME(ours::kEpilogueBias, CUBLASLT_EPILOGUE_BIAS);
SAME(ours::kPreferenceWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(sizeof(ours::Algo) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(ours::Heuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(ours::Heuristic, workspace) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(ours::Heuristic, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));

// The same number of parameters, each of the same size and both pointers or neither.
template <class A, class B>
constexpr bool alike = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>;
template <class F, class G>
constexpr bool same_prototype = false;
template <class R, class... A, class S, class... B>
constexpr bool same_prototype<R (*)(A...), S (*)(B...)> = sizeof...(A) == sizeof...(B) && alike<R, S> && (alike<A, B> && ...);
#define X(name, result, parameters) static_assert(same_prototype<decltype(ours::Api::name), decltype(&::name)>, #name);
HEADZIP_CUBLASLT(X)
#undef X
