#include "layer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "../error.h"
#include "../finite.h"
#include "moe.h"

namespace headzip {

namespace {
[[noreturn]] void not_finite(int64_t layer) { throw NotFinite("layer " + std::to_string(layer)); }
}  // namespace

LayerRunner::LayerRunner(Backend& backend, const Model& model, std::vector<RopeRef> ropes, int64_t rows)
    : backend_(backend),
      model_(model),
      ropes_(std::move(ropes)),
      normed_(backend.rows(rows, model.spec.hidden)),
      widths_(model.spec.widths()),
      q_(backend.rows(rows, widths_.q)),
      k_(backend.rows(rows, widths_.kv)),
      v_(backend.rows(rows, widths_.kv)),
      attended_(backend.rows(rows, widths_.q)),
      gate_(backend.rows(rows, widths_.mlp)),
      up_(backend.rows(rows, widths_.mlp)) {
  if (model.spec.out_norms) added_ = backend.rows(rows, model.spec.hidden);
  if (widths_.experts == 0) return;
  routed_ = backend.rows(rows, widths_.experts);
  gathered_ = backend.rows(rows, 2 * model.spec.hidden);
}

void LayerRunner::run(int64_t layer, Rows x, std::span<const RowGroup> groups, LayerOutput output, ProjectionMeans* means) {
  model_.check_read();  // what came before may have read zeros
  const ModelSpec& spec = model_.spec;
  const AttentionSpec& attention = spec.attention(layer);
  const LayerWeights& w = model_.layers[layer];
  const bool queries = output == LayerOutput::kHidden || output == LayerOutput::kScores || output == LayerOutput::kMeans;
  const bool values = output == LayerOutput::kHidden || output == LayerOutput::kValues;
  const Rows h = normed_.slice(0, x.rows), q = q_.reshape(x.rows, attention.q_width()), k = k_.reshape(x.rows, attention.kv_width());
  const Rows v = v_.reshape(x.rows, attention.kv_width()), out = attended_.reshape(x.rows, attention.q_width());

  norm(x, w.attn_norm, h);
  const bool weighted = std::any_of(groups.begin(), groups.end(), [](const RowGroup& p) { return p.weights.values != nullptr; });
  if (weighted) {
    if (!row_norms_.memory) row_norms_ = backend_.scores(1, normed_.rows);
    backend_.row_norms(h, row_norms_);
  }
  std::vector<LinearParams> projections{{&w.k, &w.k_bias, k}};
  if (queries) projections.push_back({&w.q, &w.q_bias, q});
  if (values) projections.push_back({&w.v, &w.v_bias, v});
  backend_.linear(h, projections);
  if (attention.head_norms) {
    norm_heads(k, w.k_norm, attention.head_dim);
    if (queries) norm_heads(q, w.q_norm, attention.head_dim);
  }
  // Softmax would swallow a logit that is no number; values show up in the layer's output.
  if (!backend_.finite(k) || (queries && !backend_.finite(q))) not_finite(layer);

  if (means != nullptr) {
    add_columns(q, means->queries);
    add_columns(k, means->keys);
  }
  if (output == LayerOutput::kMeans) return;

  const RopeRef& rope = ropes_[attention.rope];
  std::vector<AttentionParams> batch;
  for (size_t i = 0; i < groups.size();) {  // groups that go on where the one before ends are rotated and appended as one
    const RowGroup& from = groups[i];
    int64_t rows = 0;
    for (; i < groups.size() && groups[i].own == from.own && groups[i].first == from.first + rows && groups[i].position == from.position + rows; ++i)
      rows += groups[i].rows;
    backend_.rope_append(*from.own, queries ? q.slice(from.first, rows) : Rows{}, attention.heads, k.slice(from.first, rows),
                   values ? v.slice(from.first, rows) : Rows{}, rope, from.position);
  }
  for (const RowGroup& p : groups) {
    if (!queries) break;
    batch.push_back({q.slice(p.first, p.rows), p.position, p.segments,
                    output == LayerOutput::kHidden ? out.slice(p.first, p.rows) : Rows{}, attention.window, p.scores, p.score_stride,
                    p.weights});
    if (weighted) batch.back().weights.rows = row_norms_.data + p.first;
  }
  if (!queries) return;
  backend_.attention(attention, batch);
  if (output != LayerOutput::kHidden) return;

  const Rows added = spec.out_norms ? added_.slice(0, x.rows) : x;
  const LinearParams project{&w.o, &w.o_bias, added, !spec.out_norms};
  backend_.linear(out, {&project, 1});
  if (spec.out_norms) norm(added, w.attn_out_norm, x, true);
  feed_forward(layer, x);
  if (!backend_.finite(x)) not_finite(layer);
}

void LayerRunner::value_norms(int64_t layer, const KvLayer& kv, int64_t begin, int64_t count, const ScoreBuffer& out) {
  if (!backend_.value_norms(model_.layers[layer].o, kv, begin, count, out)) not_finite(layer);
}

void LayerRunner::synchronize(int64_t layer) {
  if (!backend_.synchronize()) not_finite(layer);
}

void LayerRunner::norm(Rows x, const Weight& weight, Rows out, bool add) {
  backend_.rms_norm(x, weight, {model_.spec.norm_eps, model_.spec.norm_offset, add}, out);
}

void LayerRunner::norm_heads(Rows x, const Weight& weight, int64_t head_dim) {
  const Rows each = x.reshape(x.rows * (x.width / head_dim), head_dim);
  norm(each, weight, each);
}

void LayerRunner::add_columns(Rows x, std::vector<double>& sums) {
  std::vector<float> host(static_cast<size_t>(x.rows * x.width));
  backend_.download(x, host.data());
  sums.resize(static_cast<size_t>(x.width));
  for (auto at = host.cbegin(); at != host.cend();)
    for (double& sum : sums) sum += *at++;
}

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

void prepare(Backend& backend, const AttentionSpec& spec, int64_t capacity, std::unique_ptr<KvLayer>& kv) {
  if (!kv || kv->heads() != spec.kv_heads || kv->head_dim() != spec.head_dim) kv = backend.kv(spec.kv_heads, spec.head_dim, capacity);
  for (int64_t h = 0; h < spec.kv_heads; ++h) kv->truncate(h, 0);
}

int64_t buffer_values(const ModelSpec& s) {
  const Widths w = s.widths();
  return 2 * w.mlp + 2 * (w.q + w.kv) + 4 * s.hidden + w.experts;
}

double linear_work(const ModelSpec& s, int64_t layer) {
  const LayerSpec& l = s.layers[static_cast<size_t>(layer)];
  const MoeSpec* moe = l.moe();
  const int64_t inner = moe == nullptr ? std::get<DenseSpec>(l.mlp).intermediate : moe->per_token * moe->intermediate + moe->shared_intermediate;
  return static_cast<double>(s.hidden) * static_cast<double>(2 * (l.attention.q_width() + l.attention.kv_width()) + 3 * inner);
}

double attention_work(const AttentionSpec& s) { return 2.0 * static_cast<double>(s.q_width()); }

}  // namespace headzip
