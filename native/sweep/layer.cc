#include "layer.h"

#include "../error.h"

namespace headzip {

namespace {
[[noreturn]] void not_finite(int64_t layer) {
  throw Error("layer " + std::to_string(layer) + " gave a value that is not a finite number; its weights are damaged or overflow");
}
}  // namespace

LayerRunner::LayerRunner(Backend& backend, const Model& model, int64_t rows)
    : backend_(backend),
      model_(model),
      normed_(backend.rows(rows, model.spec.hidden)),
      q_(backend.rows(rows, model.spec.heads * model.spec.head_dim)),
      k_(backend.rows(rows, model.spec.kv_heads * model.spec.head_dim)),
      v_(backend.rows(rows, model.spec.kv_heads * model.spec.head_dim)),
      attended_(backend.rows(rows, model.spec.heads * model.spec.head_dim)),
      gate_(backend.rows(rows, model.spec.intermediate)),
      up_(backend.rows(rows, model.spec.intermediate)) {}

void LayerRunner::run(int64_t layer, Rows x, std::span<const Piece> pieces, Need need) {
  const ModelSpec& spec = model_.spec;
  const LayerWeights& w = model_.layers[layer];
  const bool queries = need == Need::kHidden || need == Need::kScores;
  const bool values = need == Need::kHidden || need == Need::kValues;
  const Rows h = normed_.slice(0, x.rows), q = q_.slice(0, x.rows), k = k_.slice(0, x.rows);
  const Rows v = v_.slice(0, x.rows), out = attended_.slice(0, x.rows);

  backend_.rms_norm(x, w.attn_norm, spec.norm_eps, h);
  std::vector<LinearJob> projections{{&w.k, &w.k_bias, k}};
  if (queries) projections.push_back({&w.q, &w.q_bias, q});
  if (values) projections.push_back({&w.v, &w.v_bias, v});
  backend_.linear(h, projections);
  // Softmax would swallow a logit that is no number; values show up in the layer's output.
  if (!backend_.finite(k) || (queries && !backend_.finite(q))) not_finite(layer);

  std::vector<AttentionJob> jobs;
  for (const Piece& p : pieces) {
    const Rows keys = k.slice(p.first, p.rows);
    backend_.rope(keys, spec.kv_heads, spec, p.position);
    backend_.append(*p.own, keys, values ? v.slice(p.first, p.rows) : Rows{});
    if (!queries) continue;
    backend_.rope(q.slice(p.first, p.rows), spec.heads, spec, p.position);
    jobs.push_back({q.slice(p.first, p.rows), p.position, p.spans,
                    need == Need::kHidden ? out.slice(p.first, p.rows) : Rows{}, p.scores, p.score_stride});
  }
  if (!queries) return;
  backend_.attention(spec, jobs);
  if (need != Need::kHidden) return;

  const LinearJob project{&w.o, &w.o_bias, x, true};
  backend_.linear(out, {&project, 1});
  feed_forward(w, x);
  if (!backend_.finite(x)) not_finite(layer);
}

void LayerRunner::settle(int64_t layer) {
  if (!backend_.settle()) not_finite(layer);
}

void LayerRunner::feed_forward(const LayerWeights& w, Rows x) {
  const Rows h = normed_.slice(0, x.rows), gate = gate_.slice(0, x.rows), up = up_.slice(0, x.rows);
  backend_.rms_norm(x, w.mlp_norm, model_.spec.norm_eps, h);
  const LinearJob widen[] = {{&w.gate, &w.gate_bias, gate}, {&w.up, &w.up_bias, up}};
  backend_.linear(h, widen);
  backend_.silu_mul(gate, up);
  const LinearJob narrow{&w.down, &w.down_bias, x, true};
  backend_.linear(gate, {&narrow, 1});
}

std::vector<float> LayerRunner::logits(Rows rows) {
  const Rows h = normed_.slice(0, rows.rows);
  backend_.rms_norm(rows, model_.final_norm, model_.spec.norm_eps, h);
  if (logits_.rows < rows.rows) logits_ = backend_.rows(rows.rows, model_.spec.vocab);
  const Rows out = logits_.slice(0, rows.rows);
  const LinearJob job{&model_.lm_head, nullptr, out};
  backend_.linear(h, {&job, 1});
  std::vector<float> host(static_cast<size_t>(rows.rows * model_.spec.vocab));
  backend_.download(out, host.data());
  return host;
}

double linear_work(const ModelSpec& s) {
  return static_cast<double>(s.hidden) * (2 * s.heads * s.head_dim + 2 * s.kv_heads * s.head_dim + 3 * s.intermediate);
}

double attention_work(const ModelSpec& s) { return 2.0 * static_cast<double>(s.heads * s.head_dim); }

}  // namespace headzip
