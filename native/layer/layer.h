// One transformer layer over a tile of rows: the only forward pass there is. Prefill, scoring and decoding call it.
#pragma once
#include <vector>

#include "../backend.h"

namespace headzip {

// Consecutive rows of a tile that share positions and keys: a stretch of the context, or of one repeat input.
struct RowGroup {
  int64_t first = 0, rows = 0;  // within the tile
  int64_t position = 0;         // of the first row
  KvLayer* own = nullptr;       // their keys and values are appended here
  std::vector<KvSegment> segments;   // what they see, once appended
  float* scores = nullptr;      // see AttentionParams
  int64_t score_stride = 0;
  ScoreWeights weights{};       // `rows` is filled in
};

enum class LayerOutput {
  kHidden,  // the layer's output
  kKeys,    // keys only: nothing after this layer reads these rows
  kValues,  // keys and values only
  kScores,  // keys and scores
  kMeans,   // what ProjectionMeans take, and nothing else: no key is kept
};

// Running sums, to be divided into means, over rows of queries and keys as the heads' norms leave them, before RoPE.
struct ProjectionMeans {
  std::vector<double> queries, keys;  // (heads, head_dim), (kv_heads, head_dim)
};

class LayerRunner {
 public:
  // Work buffers for tiles of up to `rows` rows. `ropes` stand in for the model's own.
  LayerRunner(Backend& backend, const Model& model, std::vector<RopeRef> ropes, int64_t rows);
  // x (rows, hidden) becomes the layer's output with LayerOutput::kHidden. `means`, where queries are needed, grow by these rows'.
  void run(int64_t layer, Rows x, std::span<const RowGroup> groups, LayerOutput output, ProjectionMeans* means = nullptr);
  // Norms of what entries [begin, begin + count) of `kv` add to the stream, for ScoreWeights. Throws as synchronize() does.
  void value_norms(int64_t layer, const KvLayer& kv, int64_t begin, int64_t count, const ScoreBuffer& out);
  // Waits for the layer's work; throws Error when a value in it was not finite.
  void synchronize(int64_t layer);
  // Logits of a few rows after the last layer: (rows, vocab) in the backend's memory, without the model's cap.
  void lm_head(Rows rows);
  Rows logit_rows(int64_t count) const { return logits_.slice(0, count); }
  // Those that lm_head() left, on the host: (rows, vocab). Throws NotFinite where one is no finite number.
  std::vector<float> logits(int64_t rows);
  std::vector<float> logits(Rows rows);  // lm_head(), then these

 private:
  [[noreturn]] static void not_finite(int64_t layer);
  void feed_forward(int64_t layer, Rows x);
  // out (+)= down(activation(gate(h)) * up(h))
  void gated_mlp(const MlpWeights& w, Rows h, Rows out, bool add);
  void moe(int64_t layer, const MoeSpec& spec, Rows h, Rows out);
  void norm(Rows x, const Weight& weight, Rows out, bool add = false);
  // Normalises every head of rows that lie without gaps.
  void norm_heads(Rows x, const Weight& weight, int64_t head_dim);
  // Adds each column's sum over the rows, in their order: the same bits on any number of threads.
  void add_columns(Rows x, std::vector<double>& sums);

  Backend& backend_;
  const Model& model_;
  std::vector<RopeRef> ropes_;
  OwnedRows normed_;
  Widths widths_;
  OwnedRows q_, k_, v_, attended_, gate_, up_;  // as wide as the widest layer's
  ScoreBuffer row_norms_;  // (1, rows) of a tile, once scores are weighted
  OwnedRows logits_;  // as many rows as were asked for at most
  OwnedRows added_;  // what a part adds to the stream, where it is normalised first
  OwnedRows routed_, gathered_;  // MoE: router logits; rows of one expert, then its answers
};

// Makes room for a layer of that shape: `kv` itself, emptied, where it has the shape already.
void prepare(Backend& backend, const AttentionSpec& spec, int64_t capacity, std::unique_ptr<KvLayer>& kv);

}  // namespace headzip
