// From the stream behind the last layer to logits.
#include <cmath>
#include <vector>

#include "../error.h"
#include "../finite.h"
#include "layer.h"

namespace headzip {

void LayerRunner::lm_head(Rows rows) {
  const Rows h = normed_.slice(0, rows.rows);
  norm(rows, model_.final_norm, h);
  if (logits_.rows < rows.rows) logits_ = backend_.stream(rows.rows, model_.spec.vocab);
  const LinearParams params{&model_.lm_head, nullptr, logit_rows(rows.rows)};
  backend_.linear(h, {&params, 1});
  model_.check_size();  // before a token is chosen
}

std::vector<float> LayerRunner::logits(Rows rows) {
  lm_head(rows);
  return logits(rows.rows);
}

std::vector<float> LayerRunner::logits(int64_t rows) {
  const Rows out = logit_rows(rows);
  std::vector<float> host(static_cast<size_t>(rows * model_.spec.vocab));
  backend_.download(out, host.data());
  if (!all_finite(host)) throw NotFinite();  // before the cap, which makes a number of an infinite one
  if (const float cap = model_.spec.logit_cap; cap > 0)
    for (float& z : host) z = cap * std::tanh(z / cap);
  return host;
}

}  // namespace headzip
