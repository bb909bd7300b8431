// From logits to a token: the best one, or one drawn. Runs on the host for every backend, in double precision, so that
// the same logits and seed give the same token everywhere.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "../backend.h"

namespace headzip {

struct Sampling {
  double temperature = 0;  // 0: greedy, the lowest id of the best
  int64_t top_k = 0;       // draw from the k best; 0: from all
  double top_p = 1;        // draw from the fewest best that hold this share of the probability
  uint64_t seed = 0;
};

// Throws Error for values that make no sense.
void check_sampling(const Sampling& sampling);

// Natural logarithm of the softmax's share of `id`. Throws Error for an id that has no logit, NotFinite.
float log_probability(std::span<const float> logits, int32_t id);

class Sampler {
 public:
  // Throws Error for values that make no sense.
  explicit Sampler(const Sampling& sampling);
  // The n-th call uses the n-th number of its generator. Throws Error for an empty row, NotFinite where a logit is not a
  // finite number: the id is always that of one of `logits`.
  int32_t pick(std::span<const float> logits);
  // Greedy sampling needs the best logit only.
  bool greedy() const { return sampling_.temperature == 0; }
  int32_t pick(const Argmax& argmax) const;

 private:
  double uniform();

  struct Candidate {
    double weight;
    int32_t id;
  };
  Sampling sampling_;
  uint64_t drawn_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace headzip
