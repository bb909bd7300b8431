// What a parity case needs of a backend: values in, values out, and how exactly its types can be right.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "backend.h"
#include "stored.h"

namespace headzip::parity {

// Relative errors of single operations, from which each case derives what its result may differ by.
struct Precision {
  double output;  // of activations as an operation leaves them
  double stream;  // of rows of the residual stream
  double sum;     // of one multiplication or addition in fp32
  double gemm;    // of one addition of a GEMM
  double weight;  // of a softmax weight before it multiplies a value
  double exp;     // of an exponential, its argument's error apart
  double tanh;    // 1 + tanh(u): absolute
};

class Rig {
 public:
  explicit Rig(Backend& backend);
  Backend& backend;
  const Precision eps;

  bool exact() const { return backend.element() == Element::kF32; }
  // A number as the backend keeps it in a weight or an activation.
  float kept(float value) const;
  // The least size from `least` on that the backend's kernels take for rows and weights.
  int64_t size(int64_t least) const { return exact() ? least : (least + 7) / 8 * 8; }

  // Uniform in -scale .. scale, kept(); the same on every machine.
  std::vector<float> random(int64_t count, float scale = 1);
  int64_t below(int64_t end);  // a random integer in [0, end)

  // Weights live as long as the rig: backends know them by their address.
  const Weight& weight(std::vector<float> values, int64_t rows, int64_t cols);
  const Weight& weight(const Encoded& encoded, int64_t rows, int64_t cols);
  const Weight& nothing() { return weights_.emplace_back(); }

  // Rows in the backend's memory, and back. Values of a case are kept() already.
  OwnedRows rows(const std::vector<float>& values, int64_t count);
  OwnedRows stream(const std::vector<float>& values, int64_t count);
  void fill(Rows to, const std::vector<float>& values);
  std::vector<float> values(Rows rows);
  std::vector<float> values(const ScoreBuffer& scores);
  // A layer whose heads hold `entries` random ones each.
  std::unique_ptr<KvLayer> kv(int64_t heads, int64_t head_dim, int64_t entries, int64_t capacity = 1);
  void append(KvLayer& kv, int64_t entries);
  // Weights may be this far off, and activations, as an operation writes them.
  double rounding(Rows rows) const { return rows.element == Element::kF32 && !exact() ? eps.stream : eps.output; }

 private:
  std::deque<Weight> weights_;
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<std::byte>> bytes_;
  uint64_t state_ = 88172645463325252u;
};

// Keys or values of entries of one head as numbers, (entries, head_dim).
struct HeadValues {
  std::vector<float> k, v;
};
HeadValues read_head(const KvLayer& kv, int64_t head);

float to_bf16(float value);

}  // namespace headzip::parity
