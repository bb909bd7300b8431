#include "means.h"

#include <algorithm>

#include "../check.h"
#include "../error.h"
#include "../layer/layer.h"
#include "../layer/work.h"

namespace headzip {

namespace {

void check_means(const MeansParams& params, const ModelSpec& spec) {
  if (params.text.empty()) throw Error("the text is empty");
  check_ids(params.text, spec, "the text");
  if (!params.ropes.empty()) check_ropes(params.ropes, spec);
  check_positions(static_cast<int64_t>(params.text.size()),
                  params.max_positions == 0 ? spec.max_positions : params.max_positions, "the text");
  if (params.tile_rows < 0) throw Error("rows must not be negative");
}

// Multiply-adds of one layer for all rows of the text.
double layer_work(const ModelSpec& spec, int64_t layer, int64_t rows, LayerOutput output) {
  if (output == LayerOutput::kMeans) return static_cast<double>(rows) * linear_work(spec, layer) / 8;
  double keys = static_cast<double>(rows) / 2;
  const AttentionSpec& attention = spec.attention(layer);
  if (attention.window > 0) keys = std::min(keys, static_cast<double>(attention.window));
  return static_cast<double>(rows) * (linear_work(spec, layer) + attention_work(attention) * keys);
}

void append_means(const std::vector<double>& sums, int64_t rows, std::vector<float>& means) {
  for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(rows)));
}

}  // namespace

MeansResult run_means(Backend& backend, const Model& model, const MeansParams& params, JobControl& control) {
  const ModelSpec& spec = model.spec;
  check_means(params, spec);
  const auto rows = static_cast<int64_t>(params.text.size());
  int64_t tile = std::min(backend.tile_rows(spec), rows);
  if (params.tile_rows > 0) tile = std::min(tile, params.tile_rows);
  const int64_t last = spec.scored_layers().back();
  const auto output_of = [last](int64_t layer) { return layer == last ? LayerOutput::kMeans : LayerOutput::kHidden; };

  backend.reset_peak();
  const int64_t stream = rows * spec.hidden, values = rows * 2 * spec.widths().kv + tile * buffer_values(spec);
  backend.begin(model, static_cast<size_t>(stream) * bytes_of(backend.stream_element()) +
                           static_cast<size_t>(values) * bytes_of(backend.element()));
  const OwnedRows x = backend.stream(rows, spec.hidden);
  backend.embed(model.embed, params.text, spec.embed_scale, x);
  std::unique_ptr<KvLayer> kv;
  LayerRunner runner(backend, model, params.ropes.empty() ? spec.ropes : params.ropes, tile);
  double total = 0;
  for (int64_t layer = 0; layer <= last; ++layer) total += layer_work(spec, layer, rows, output_of(layer));
  control.total = total;

  MeansResult result;
  for (int64_t layer = 0; layer <= last; ++layer) {
    const bool scored = spec.layers[static_cast<size_t>(layer)].scored;
    ProjectionMeans means;
    backend.enter_layer(model, layer);
    prepare(backend, spec.attention(layer), rows, kv);
    for (int64_t row = 0; row < rows; row += tile) {
      const int64_t count = std::min(tile, rows - row);
      const RowGroup group{0, count, row, kv.get(), {{kv.get(), 0, -1, 0}}, nullptr, 0};
      runner.run(layer, x.slice(row, count), {&group, 1}, output_of(layer), scored ? &means : nullptr);
      backend.throttle();
      control.advance(layer_work(spec, layer, rows, output_of(layer)) * static_cast<double>(count) / static_cast<double>(rows));
    }
    runner.synchronize(layer);
    if (!scored) continue;
    append_means(means.queries, rows, result.queries);
    append_means(means.keys, rows, result.keys);
  }
  result.peak_bytes = backend.peak_bytes();
  return result;
}

}  // namespace headzip
