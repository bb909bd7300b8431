#include "gemm.h"

namespace headzip::cuda {

using namespace cublaslt;

Gemm::Gemm(void* workspace, size_t workspace_bytes) : api_(api()), workspace_(workspace), workspace_bytes_(workspace_bytes) {
  if (!api_.loaded) {
    reason_ = api_.reason;
    return;
  }
  const int transpose = kOpT;
  const bool made = api_.cublasLtCreate(&handle_) == kSuccess &&
                    api_.cublasLtMatmulDescCreate(&desc_, kCompute32F, CUDA_R_32F) == kSuccess &&
                    api_.cublasLtMatmulDescSetAttribute(desc_, kDescTransA, &transpose, sizeof transpose) == kSuccess &&
                    api_.cublasLtMatmulPreferenceCreate(&preference_) == kSuccess &&
                    api_.cublasLtMatmulPreferenceSetAttribute(preference_, kPreferenceWorkspace, &workspace_bytes_,
                                                              sizeof workspace_bytes_) == kSuccess;
  if (!made) reason_ = "cuBLASLt (" + api_.path + ") cannot be started on this GPU";
}

Gemm::~Gemm() {
  for (auto& [key, plan] : plans_)
    for (const Layout layout : {plan.w, plan.x, plan.y})
      if (layout != nullptr) api_.cublasLtMatrixLayoutDestroy(layout);
  if (preference_ != nullptr) api_.cublasLtMatmulPreferenceDestroy(preference_);
  if (desc_ != nullptr) api_.cublasLtMatmulDescDestroy(desc_);
  if (handle_ != nullptr) api_.cublasLtDestroy(handle_);
}

// The library thinks in columns: row-major y is its (out, rows) matrix, w with its rows as columns is transposed.
std::string Gemm::plan(const Key& key, Plan& into) {
  const auto [rows, out, in] = key;
  const bool made = api_.cublasLtMatrixLayoutCreate(&into.w, CUDA_R_16BF, in, out, in) == kSuccess &&
                    api_.cublasLtMatrixLayoutCreate(&into.x, CUDA_R_16BF, in, rows, in) == kSuccess &&
                    api_.cublasLtMatrixLayoutCreate(&into.y, CUDA_R_16BF, out, rows, out) == kSuccess;
  if (!made) return "cuBLASLt refused a matrix layout";
  int found = 0;
  const Status status = api_.cublasLtMatmulAlgoGetHeuristic(handle_, desc_, into.w, into.x, into.y, into.y, preference_, 1,
                                                            &into.choice, &found);
  if (status != kSuccess || found == 0)
    return "cuBLASLt knows no way to multiply " + std::to_string(rows) + " x " + std::to_string(in) + " by " +
           std::to_string(in) + " x " + std::to_string(out) + " (status " + std::to_string(status) + ")";
  return "";
}

std::string Gemm::run(const bf16* x, const bf16* w, bf16* y, int64_t rows, int64_t out, int64_t in, bool add, cudaStream_t stream) {
  if (!reason_.empty()) return reason_;
  const Key key{rows, out, in};
  auto at = plans_.find(key);
  if (at == plans_.end()) {
    at = plans_.emplace(key, Plan{}).first;
    const std::string why = plan(key, at->second);
    if (!why.empty()) return why;
  }
  const Plan& p = at->second;
  const float one = 1, beta = add ? 1.0f : 0.0f;
  const Status status = api_.cublasLtMatmul(handle_, desc_, &one, w, p.w, x, p.x, &beta, y, p.y, y, p.y, &p.choice.algo,
                                            workspace_, workspace_bytes_, stream);
  return status == kSuccess ? "" : "cuBLASLt failed with status " + std::to_string(status);
}

}  // namespace headzip::cuda
