// y (rows, out) (+)= x (rows, in) w^T (out, in) (+ bias), row-major, fp32 accumulation, through cuBLASLt.
#pragma once
#include <map>
#include <string>
#include <tuple>

#include "../launch.h"
#include "cublaslt.h"

namespace headzip::cuda {

struct GemmParams {
  const bf16 *x, *w;
  const bf16* bias;  // (out), or nullptr; with bf16 y and without `add` only
  Values y;
  int64_t rows, out, in;
  bool add = false;
};

class Gemm {
 public:
  // `workspace` is device memory for the library's own use.
  Gemm(void* workspace, size_t workspace_bytes);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;
  // Empty when it went well, else one sentence.
  std::string run(const GemmParams& params, cudaStream_t stream);
  // Why this object cannot work; empty when it can.
  const std::string& reason() const { return reason_; }

 private:
  struct Plan {
    cublaslt::Layout w = nullptr, x = nullptr, y = nullptr;
    cublaslt::Heuristic choice{};
  };
  using Key = std::tuple<int64_t, int64_t, int64_t, bool, bool>;  // rows, out, in, fp32 y, with a bias
  std::string plan(const Key& key, Plan& into);

  const cublaslt::Api& api_;
  cublaslt::Handle handle_ = nullptr;
  cublaslt::MatmulDesc plain_ = nullptr, biased_ = nullptr;
  cublaslt::Preference preference_ = nullptr;
  void* workspace_;
  size_t workspace_bytes_;
  std::string reason_;
  std::map<Key, Plan> plans_;
};

}  // namespace headzip::cuda
