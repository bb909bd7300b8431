#include "layer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "../error.h"

namespace headzip {

void LayerRunner::not_finite(int64_t layer) { throw NotFinite("layer " + std::to_string(layer)); }

LayerRunner::LayerRunner(Backend& backend, const Model& model, std::vector<RopeRef> ropes, int64_t rows)
    : backend_(backend), model_(model), ropes_(std::move(ropes)), normed_(backend.rows(rows, model.spec.hidden)),
      widths_(model.spec.widths()), q_(backend.rows(rows, widths_.q)), k_(backend.rows(rows, widths_.kv)),
      v_(backend.rows(rows, widths_.kv)), attended_(backend.rows(rows, widths_.q)), gate_(backend.rows(rows, widths_.mlp)),
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
  const Rows h = normed_.slice(0, x.rows), q = q_.reshape(x.rows, attention.q_width()),
             k = k_.reshape(x.rows, attention.kv_width());
  const Rows v = v_.reshape(x.rows, attention.kv_width()), out = attended_.reshape(x.rows, attention.q_width());

  norm(x, w.attn_norm, h);
  const bool weighted =
      std::any_of(groups.begin(), groups.end(), [](const RowGroup& p) { return p.weights.values != nullptr; });
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
    for (; i < groups.size() && groups[i].own == from.own && groups[i].first == from.first + rows &&
           groups[i].position == from.position + rows;
         ++i)
      rows += groups[i].rows;
    backend_.rope_append(*from.own, queries ? q.slice(from.first, rows) : Rows{}, attention.heads, k.slice(from.first, rows),
                         values ? v.slice(from.first, rows) : Rows{}, rope, from.position);
  }
  for (const RowGroup& p : groups) {
    if (!queries) break;
    batch.push_back({q.slice(p.first, p.rows), p.position, p.segments,
                     output == LayerOutput::kHidden ? out.slice(p.first, p.rows) : Rows{}, attention.window, p.scores,
                     p.score_stride, p.weights});
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

void prepare(Backend& backend, const AttentionSpec& spec, int64_t capacity, std::unique_ptr<KvLayer>& kv) {
  if (!kv || kv->heads() != spec.kv_heads || kv->head_dim() != spec.head_dim)
    kv = backend.kv(spec.kv_heads, spec.head_dim, capacity);
  for (int64_t h = 0; h < spec.kv_heads; ++h) kv->truncate(h, 0);
}

}  // namespace headzip
