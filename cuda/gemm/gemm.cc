#include "gemm.h"

namespace headzip::cuda {

using namespace cublaslt;

Gemm::Gemm(void* workspace, size_t workspace_bytes) : api_(api()), workspace_(workspace), workspace_bytes_(workspace_bytes) {
  if (!api_.loaded) {
    reason_ = api_.reason;
    return;
  }
  const int transpose = kOpT, bias = kEpilogueBias;
  const auto described = [&](MatmulDesc& desc) {
    return api_.cublasLtMatmulDescCreate(&desc, kCompute32F, CUDA_R_32F) == kSuccess &&
           api_.cublasLtMatmulDescSetAttribute(desc, kDescTransA, &transpose, sizeof transpose) == kSuccess;
  };
  const bool made = api_.cublasLtCreate(&handle_) == kSuccess && described(plain_) && described(biased_) &&
                    api_.cublasLtMatmulDescSetAttribute(biased_, kDescEpilogue, &bias, sizeof bias) == kSuccess &&
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
  for (const MatmulDesc desc : {plain_, biased_})
    if (desc != nullptr) api_.cublasLtMatmulDescDestroy(desc);
  if (handle_ != nullptr) api_.cublasLtDestroy(handle_);
}

// The library thinks in columns: row-major y is its (out, rows) matrix, w with its rows as columns is transposed.
std::string Gemm::plan(const Key& key, Plan& into) {
  const auto [rows, out, in, wide, biased] = key;
  const bool made = api_.cublasLtMatrixLayoutCreate(&into.w, CUDA_R_16BF, in, out, in) == kSuccess &&
                    api_.cublasLtMatrixLayoutCreate(&into.x, CUDA_R_16BF, in, rows, in) == kSuccess &&
                    api_.cublasLtMatrixLayoutCreate(&into.y, wide ? CUDA_R_32F : CUDA_R_16BF, out, rows, out) == kSuccess;
  if (!made) return "cuBLASLt refused a matrix layout";
  int found = 0;
  const Status status = api_.cublasLtMatmulAlgoGetHeuristic(handle_, biased ? biased_ : plain_, into.w, into.x, into.y, into.y,
                                                            preference_, 1, &into.choice, &found);
  if (status != kSuccess || found == 0)
    return "cuBLASLt knows no way to multiply " + std::to_string(rows) + " x " + std::to_string(in) + " by " +
           std::to_string(in) + " x " + std::to_string(out) + " (status " + std::to_string(status) + ")";
  return "";
}

std::string Gemm::run(const GemmParams& p, cudaStream_t stream) {
  if (!reason_.empty()) return reason_;
  const bool biased = p.bias != nullptr;
  if (biased && (p.add || p.y.wide)) return "a bias goes with a bf16 result that is not added to";
  const Key key{p.rows, p.out, p.in, p.y.wide, biased};
  auto at = plans_.find(key);
  if (at == plans_.end()) {
    at = plans_.emplace(key, Plan{}).first;
    const std::string why = plan(key, at->second);
    if (!why.empty()) return why;
  }
  if (biased && api_.cublasLtMatmulDescSetAttribute(biased_, kDescBias, &p.bias, sizeof p.bias) != kSuccess)
    return "cuBLASLt refused a bias";
  const Plan& plan = at->second;
  const float one = 1, beta = p.add ? 1.0f : 0.0f;
  const Status status = api_.cublasLtMatmul(handle_, biased ? biased_ : plain_, &one, p.w, plan.w, p.x, plan.x, &beta, p.y.data,
                                            plan.y, p.y.data, plan.y, &plan.choice.algo, workspace_, workspace_bytes_, stream);
  return status == kSuccess ? "" : "cuBLASLt failed with status " + std::to_string(status);
}

}  // namespace headzip::cuda
