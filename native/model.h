// What a model is to the engine: sizes, and where each weight lies in mapped memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "weights/mapped_file.h"

namespace headzip {

enum class StoredType : uint8_t { kF32, kF16, kBF16 };

constexpr size_t bytes_of(StoredType t) { return t == StoredType::kF32 ? 4 : 2; }

// A weight as it lies in the file. A vector has cols == 1... rows elements; a linear layer is (rows = out, cols = in).
struct Weight {
  const std::byte* data = nullptr;  // (rows, cols), row-major
  StoredType type = StoredType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  explicit operator bool() const { return data != nullptr; }
};

struct LayerWeights {
  Weight attn_norm, q, k, v, o, q_bias, k_bias, v_bias, o_bias;
  Weight mlp_norm, gate, up, down, gate_bias, up_bias, down_bias;
};

struct ModelSpec {
  int64_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, intermediate = 0, vocab = 0;
  int64_t max_positions = 0;
  float norm_eps = 0;
  float attention_scale = 0;      // factor on attention logits
  std::vector<float> inv_freq;    // (head_dim / 2)
  float rope_scale = 1;           // factor on cos and sin
  int64_t group() const { return heads / kv_heads; }
  // The published scorer always divides by sqrt(head_dim), whatever the model itself does.
  float score_scale() const;
};

struct Model {
  ModelSpec spec;
  std::vector<std::shared_ptr<const MappedFile>> files;  // keep the mappings alive
  Weight embed, final_norm, lm_head;
  std::vector<LayerWeights> layers;
};

// One weight of the file list, as the caller describes it.
struct WeightRef {
  std::string role;  // "embed", "layers.3.q"
  std::string name;  // for messages
  size_t file = 0;   // index into the file list
  StoredType type = StoredType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0, bytes = 0;
};

// Maps the files and checks every weight: role known, bounds within its file, shape as the sizes say, none missing.
// Throws Error with one sentence that names the weight and its file.
std::shared_ptr<const Model> open_model(ModelSpec spec, const std::vector<std::string>& paths,
                                        const std::vector<WeightRef>& refs);

}  // namespace headzip
