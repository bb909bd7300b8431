// The half of a layer behind attention: a gated MLP, or a mixture of them.
#include <cmath>
#include <vector>

#include "../finite.h"
#include "layer.h"
#include "moe.h"

namespace headzip {

void LayerRunner::feed_forward(int64_t layer, Rows x) {
  const LayerWeights& w = model_.layers[layer];
  const bool apart = model_.spec.out_norms;
  const Rows h = normed_.slice(0, x.rows), out = apart ? added_.slice(0, x.rows) : x;
  norm(x, w.mlp_norm, h);
  if (const MoeSpec* spec = model_.spec.layers[static_cast<size_t>(layer)].moe()) moe(layer, *spec, h, out);
  else gated_mlp(w.mlp, h, out, !apart);
  if (apart) norm(out, w.mlp_out_norm, x, true);
}

void LayerRunner::gated_mlp(const MlpWeights& w, Rows h, Rows out, bool add) {
  const Rows gate = gate_.reshape(h.rows, w.gate.rows), up = up_.reshape(h.rows, w.gate.rows);
  backend_.gated_mlp(model_.spec.activation, h, {&w.gate, &w.gate_bias, gate}, {&w.up, &w.up_bias, up});
  const LinearParams narrow{&w.down, &w.down_bias, out, add};
  backend_.linear(gate, {&narrow, 1});
}

// Expert by expert, so that each one's weights are read once a tile.
void LayerRunner::moe(int64_t layer, const MoeSpec& spec, Rows h, Rows out) {
  const LayerWeights& w = model_.layers[layer];
  const Rows routed = routed_.reshape(h.rows, spec.experts);
  const LinearParams params{&w.router, nullptr, routed};
  backend_.linear(h, {&params, 1});
  std::vector<float> logits(static_cast<size_t>(h.rows * spec.experts));
  backend_.download(routed, logits.data());
  if (!all_finite(logits)) not_finite(layer);

  const auto rows = [&](int64_t count, int64_t from) {
    return gathered_.reshape(2 * gathered_.rows, h.width).slice(from, count);
  };
  const std::vector<ExpertRows> plan = route(logits, spec);
  for (size_t e = 0; e < plan.size(); ++e) {
    const auto count = static_cast<int64_t>(plan[e].rows.size());
    if (count == 0) continue;
    const Rows in = rows(count, 0), answer = rows(count, gathered_.rows);
    backend_.gather(h, plan[e].rows, in);
    gated_mlp(w.experts[e], in, answer, false);
    backend_.scatter_add(answer, plan[e].rows, plan[e].weights, out);
  }
  if (spec.shared_intermediate == 0) return;

  const Rows answer = rows(h.rows, gathered_.rows);
  gated_mlp(w.shared, h, answer, false);
  const Rows share = routed.reshape(h.rows, 1);
  const LinearParams weigh{&w.shared_router, nullptr, share};
  backend_.linear(h, {&weigh, 1});
  ExpertRows every{std::vector<int32_t>(static_cast<size_t>(h.rows)), std::vector<float>(static_cast<size_t>(h.rows))};
  backend_.download(share, every.weights.data());
  for (size_t i = 0; i < every.rows.size(); ++i) {
    every.rows[i] = static_cast<int32_t>(i);
    every.weights[i] = 1 / (1 + std::exp(-every.weights[i]));
  }
  backend_.scatter_add(answer, every.rows, every.weights, out);
}

}  // namespace headzip
