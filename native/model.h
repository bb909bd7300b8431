// What a model is to the engine: sizes, and where each weight lies in mapped memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "weights/mapped_file.h"
#include "weights/stored_type.h"

namespace headzip {

// What the numbers of an FP8 weight are multiplied by: a scale for every block of rows and columns of a tensor, of which
// the weight is the rows from `row` on.
struct ScaleGrid {
  const std::byte* data = nullptr;  // (blocks of rows, across), in `type`; nullptr: none
  StoredType type = StoredType::kF32;
  int64_t block_rows = 1, block_cols = 1, across = 1, row = 0;
};

// A weight as it lies in the file. A vector has cols == 1... rows elements; a linear layer is (rows = out, cols = in).
struct Weight {
  const std::byte* data = nullptr;  // (rows, cols), row-major
  StoredType type = StoredType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  ScaleGrid scales = {};  // of FP8
  explicit operator bool() const { return data != nullptr; }
};

// The three linear layers of a gated MLP.
struct MlpWeights {
  Weight gate, up, down, gate_bias, up_bias, down_bias;
};

struct LayerWeights {
  Weight attn_norm, q, k, v, o, q_bias, k_bias, v_bias, o_bias;
  Weight q_norm, k_norm;      // over each head's head_dim, where there are any
  Weight attn_out_norm;       // of what attention adds to the stream
  Weight mlp_norm;            // before the MLP
  Weight mlp_out_norm;        // of what the MLP adds
  MlpWeights mlp;           // of dense layers
  Weight router;              // (experts, hidden), of MoE layers
  std::vector<MlpWeights> experts;
  MlpWeights shared;        // an expert that every token passes through
  Weight shared_router;       // (1, hidden): its weight is sigmoid of this
};

// Rotary angles: position times inv_freq, over the first 2 * inv_freq.size() values of a head; the rest stay.
struct Rope {
  std::vector<float> inv_freq;
  float scale = 1;  // factor on cos and sin
  bool adjacent = false;  // pairs are neighbours (0, 1), (2, 3), … instead of first and second half
};
// Shared, so that a backend may keep what it derives from one for as long as it holds it.
using RopeRef = std::shared_ptr<const Rope>;

struct AttentionSpec {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t window = 0;       // a query sees its own position and window - 1 before it; 0: all
  size_t rope = 0;          // index into the model's ropes
  float scale = 0;          // factor on logits
  bool head_norms = false;  // queries and keys are normalised, head by head
  int64_t group() const { return heads / kv_heads; }
  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  // The published scorer always divides by sqrt(head_dim), whatever the model itself does.
  float score_scale() const;
  // Entries of the layer's KV that a query at `tokens` or later may still see.
  int64_t visible(int64_t tokens) const;
};

struct DenseSpec {
  int64_t intermediate = 0;
};

struct MoeSpec {
  int64_t experts = 0, per_token = 0, intermediate = 0;
  int64_t shared_intermediate = 0;  // 0: no shared expert
  bool normalise = false;           // the chosen experts' weights are made to sum to 1
};

struct LayerSpec {
  AttentionSpec attention;
  std::variant<DenseSpec, MoeSpec> mlp;
  bool scored = true;  // hybrid models score and evict their global layers only
  const MoeSpec* moe() const { return std::get_if<MoeSpec>(&mlp); }
};

enum class Activation : uint8_t { kSilu, kGeluTanh };

// The widest rows of any layer, which work buffers are made for.
struct Widths {
  int64_t q = 0, kv = 0, mlp = 0, experts = 0;
};

struct ModelSpec {
  int64_t hidden = 0, vocab = 0, max_positions = 0;
  float norm_eps = 0;
  float norm_offset = 0;    // added to every norm's weight
  float embed_scale = 1;    // factor on embeddings
  float logit_cap = 0;      // logits become cap * tanh(logits / cap); 0: none
  Activation activation = Activation::kSilu;
  bool out_norms = false;   // what attention and the MLP add is normalised
  std::vector<RopeRef> ropes;
  std::vector<LayerSpec> layers;

  int64_t layer_count() const { return static_cast<int64_t>(layers.size()); }
  const AttentionSpec& attention(int64_t layer) const { return layers[static_cast<size_t>(layer)].attention; }
  // Indices of the layers that are scored and evicted, and how many KV heads they have together.
  std::vector<int64_t> scored_layers() const;
  int64_t scored_heads() const;
  // Numbers in the keys and values of all layers once `tokens` were read and nothing was evicted.
  int64_t kv_values(int64_t tokens) const;
  Widths widths() const;
};

struct Model {
  // Throw Error, one sentence, where a file lost content since it was mapped (MappedFile::check_read, check_size), or is
  // not as it was when the model was loaded.
  void check_read() const;
  void check_size() const;
  void check_unchanged() const;

  ModelSpec spec;
  std::vector<std::shared_ptr<const MappedFile>> files;  // keep the mappings alive
  Weight embed, final_norm, lm_head;
  std::vector<LayerWeights> layers;
};

// The scales of an FP8 weight, as the caller describes them.
struct ScalesRef {
  std::string name;  // for messages
  size_t file = 0;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;  // (blocks of rows, blocks of columns) of the tensor that is scaled
  int64_t block_rows = 1, block_cols = 1, row = 0;
  uint64_t offset = 0, bytes = 0;
};

// One weight of the file list, as the caller describes it.
struct WeightRef {
  std::string role;  // "embed", "layers.3.q"
  std::string name;  // for messages
  size_t file = 0;   // index into the file list
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0, bytes = 0;
  std::optional<ScalesRef> scales;  // FP8 has them, nothing else does
};

// Throws Error unless `ropes` can stand in for those of `spec`: as many, no wider than a head, finite.
void check_ropes(const std::vector<RopeRef>& ropes, const ModelSpec& spec);

// Maps the files and checks every weight: role known, bounds within its file, shape as the sizes say, none missing.
// Throws Error with one sentence that names the weight and its file.
std::shared_ptr<const Model> open_model(ModelSpec spec, const std::vector<std::string>& paths,
                                        const std::vector<WeightRef>& refs);

}  // namespace headzip
