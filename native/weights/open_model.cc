#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "../error.h"
#include "../model.h"
#include "scales.h"

namespace headzip {

float ModelSpec::score_scale() const { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }

std::vector<int64_t> ModelSpec::scored_layers() const {
  std::vector<int64_t> scored;
  for (int64_t l = 0; l < layers; ++l)
    if (layer[l].scored) scored.push_back(l);
  return scored;
}

int64_t ModelSpec::visible(int64_t l, int64_t tokens) const {
  return layer[l].window == 0 ? tokens : std::min(tokens, layer[l].window - 1);
}

int64_t ModelSpec::widest() const {
  bool dense = false, mixed = false;
  for (const LayerSpec& l : layer) (l.moe ? mixed : dense) = true;
  return std::max(dense ? intermediate : 0, mixed ? std::max(moe.intermediate, moe.shared_intermediate) : 0);
}

void check_ropes(const std::vector<RopeRef>& ropes, const ModelSpec& s) {
  if (ropes.empty() || ropes.size() != s.ropes.size())
    throw Error("ropes must hold " + std::to_string(std::max<size_t>(1, s.ropes.size())) + " entries, got " + std::to_string(ropes.size()));
  for (const RopeRef& rope : ropes) {
    const auto pairs = static_cast<int64_t>(rope->inv_freq.size());
    if (pairs < 1 || pairs > s.head_dim / 2)
      throw Error("invFreq must hold 1 to head_dim / 2 values, got " + std::to_string(pairs));
    for (const float f : rope->inv_freq)
      if (!std::isfinite(f)) throw Error("invFreq must be finite");
    if (!(rope->scale > 0) || !std::isfinite(rope->scale)) throw Error("the rope scale must be a positive number");
  }
}

namespace {

void check_spec(const ModelSpec& s) {
  // Bounds far above any model, far below what would overflow a product of three of them.
  const auto within = [](const char* name, int64_t value, int64_t most) {
    if (value < 1 || value > most)
      throw Error(std::string(name) + " must be an integer from 1 to " + std::to_string(most) + ", got " + std::to_string(value));
  };
  within("layers", s.layers, 4096);
  within("hidden_size", s.hidden, 1 << 20);
  within("num_attention_heads", s.heads, 4096);
  within("num_key_value_heads", s.kv_heads, s.heads);
  within("head_dim", s.head_dim, 1024);
  within("intermediate_size", s.intermediate, 1 << 20);
  within("vocab_size", s.vocab, 1 << 24);
  within("max_position_embeddings", s.max_positions, 1 << 30);
  if (s.heads % s.kv_heads != 0) throw Error("num_attention_heads must be a multiple of num_key_value_heads");
  if (s.head_dim % 2 != 0) throw Error("head_dim must be even, got " + std::to_string(s.head_dim));
  check_ropes(s.ropes, s);
  if (!(s.norm_eps > 0) || !(s.attention_scale > 0) || !(s.embed_scale > 0) || !(s.logit_cap >= 0) || !std::isfinite(s.norm_offset))
    throw Error("rms_norm_eps, the attention scale and the embedding scale must be positive numbers, the cap on logits at least 0");
  if (static_cast<int64_t>(s.layer.size()) != s.layers) throw Error("the list of layers must have as many entries as the model has layers");
  bool mixed = false, scored = false;
  for (const LayerSpec& l : s.layer) {
    if (l.window < 0) throw Error("a layer's window must not be negative");
    if (l.rope >= s.ropes.size()) throw Error("a layer names a rope that is not in the list");
    mixed |= l.moe;
    scored |= l.scored;
  }
  if (!scored) throw Error("at least one layer must be scored");
  if (!mixed) return;
  if (s.out_norms) throw Error("a mixture of experts whose answer is normalised is not supported");
  within("num_experts", s.moe.experts, 4096);
  within("num_experts_per_tok", s.moe.per_token, s.moe.experts);
  within("moe_intermediate_size", s.moe.intermediate, 1 << 20);
  if (s.moe.shared_intermediate != 0) within("shared_expert_intermediate_size", s.moe.shared_intermediate, 1 << 20);
}

struct Expected {
  Weight* slot;
  int64_t rows, cols;
  bool optional = false;
};

using ExpectedWeights = std::map<std::string, Expected>;

void expect_mlp(ExpectedWeights& expected, const std::string& at, MlpWeights& w, int64_t hidden, int64_t inner) {
  expected.emplace(at + "gate", Expected{&w.gate, inner, hidden});
  expected.emplace(at + "up", Expected{&w.up, inner, hidden});
  expected.emplace(at + "down", Expected{&w.down, hidden, inner});
  expected.emplace(at + "gate_bias", Expected{&w.gate_bias, inner, 1, true});
  expected.emplace(at + "up_bias", Expected{&w.up_bias, inner, 1, true});
  expected.emplace(at + "down_bias", Expected{&w.down_bias, hidden, 1, true});
}

ExpectedWeights expected_weights(Model& m) {
  const ModelSpec& s = m.spec;
  const int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  ExpectedWeights expected{
      {"embed", {&m.embed, s.vocab, s.hidden}},
      {"final_norm", {&m.final_norm, s.hidden, 1}},
      {"lm_head", {&m.lm_head, s.vocab, s.hidden}},
  };
  m.layers.resize(s.layers);
  for (int64_t l = 0; l < s.layers; ++l) {
    LayerWeights& w = m.layers[l];
    const std::string at = "layers." + std::to_string(l) + ".";
    expected.emplace(at + "attn_norm", Expected{&w.attn_norm, s.hidden, 1});
    expected.emplace(at + "q", Expected{&w.q, q, s.hidden});
    expected.emplace(at + "k", Expected{&w.k, kv, s.hidden});
    expected.emplace(at + "v", Expected{&w.v, kv, s.hidden});
    expected.emplace(at + "o", Expected{&w.o, s.hidden, q});
    expected.emplace(at + "q_bias", Expected{&w.q_bias, q, 1, true});
    expected.emplace(at + "k_bias", Expected{&w.k_bias, kv, 1, true});
    expected.emplace(at + "v_bias", Expected{&w.v_bias, kv, 1, true});
    expected.emplace(at + "o_bias", Expected{&w.o_bias, s.hidden, 1, true});
    expected.emplace(at + "mlp_norm", Expected{&w.mlp_norm, s.hidden, 1});
    if (s.head_norms) {
      expected.emplace(at + "q_norm", Expected{&w.q_norm, s.head_dim, 1});
      expected.emplace(at + "k_norm", Expected{&w.k_norm, s.head_dim, 1});
    }
    if (s.out_norms) {
      expected.emplace(at + "attn_out_norm", Expected{&w.attn_out_norm, s.hidden, 1});
      expected.emplace(at + "mlp_out_norm", Expected{&w.mlp_out_norm, s.hidden, 1});
    }
    if (!s.layer[l].moe) {
      expect_mlp(expected, at, w.mlp, s.hidden, s.intermediate);
      continue;
    }
    expected.emplace(at + "router", Expected{&w.router, s.moe.experts, s.hidden});
    w.experts.resize(s.moe.experts);
    for (int64_t e = 0; e < s.moe.experts; ++e)
      expect_mlp(expected, at + "experts." + std::to_string(e) + ".", w.experts[e], s.hidden, s.moe.intermediate);
    if (s.moe.shared_intermediate == 0) continue;
    expected.emplace(at + "shared_router", Expected{&w.shared_router, 1, s.hidden});
    expect_mlp(expected, at + "shared.", w.shared, s.hidden, s.moe.shared_intermediate);
  }
  return expected;
}

// What tells a file from another of the same size: all that comes before the first weight, and the middle of each.
std::vector<FileSpan> marks(const std::vector<WeightRef>& refs, size_t file) {
  constexpr uint64_t kMostHeader = uint64_t{16} << 20, kMark = 64;
  std::vector<FileSpan> spans{{0, kMostHeader}};
  const auto mark = [&](uint64_t offset, uint64_t bytes) {
    const uint64_t part = std::min(kMark, bytes);
    spans[0].bytes = std::min(spans[0].bytes, offset);
    spans.push_back({offset + (bytes - part) / 2, part});
  };
  for (const WeightRef& ref : refs) {
    if (ref.file == file) mark(ref.offset, ref.bytes);
    if (ref.scales && ref.scales->file == file) mark(ref.scales->offset, ref.scales->bytes);
  }
  return spans;
}

}  // namespace

void Model::check_read() const {
  for (const auto& file : files) file->check_read();
}

void Model::check_size() const {
  for (const auto& file : files) file->check_size();
}

void Model::check_unchanged() const {
  for (const auto& file : files) file->check_unchanged();
}

std::shared_ptr<const Model> open_model(ModelSpec spec, const std::vector<std::string>& paths,
                                        const std::vector<WeightRef>& refs) {
  check_spec(spec);
  auto model = std::make_shared<Model>();
  model->spec = std::move(spec);
  std::vector<std::shared_ptr<MappedFile>> opened;
  for (const std::string& path : paths) opened.push_back(MappedFile::open(path));
  model->files.assign(opened.begin(), opened.end());
  ExpectedWeights expected = expected_weights(*model);

  for (const WeightRef& ref : refs) {
    const auto at = expected.find(ref.role);
    if (at == expected.end()) throw Error("weight " + ref.name + " has the unknown role " + ref.role);
    Expected& w = at->second;
    if (*w.slot) throw Error("the role " + ref.role + " is given twice, the second time by " + ref.name);
    if (ref.file >= model->files.size()) throw Error("weight " + ref.name + " names a file that is not in the list");
    const MappedFile& file = *model->files[ref.file];
    const bool fits = w.cols == 1 ? ref.shape == std::vector{w.rows} : ref.shape == std::vector{w.rows, w.cols};
    if (!fits) throw Error("weight " + ref.name + " in " + file.path() + " has the wrong shape for " + ref.role);
    if (quantised(ref.type) && w.cols == 1)
      throw Error("weight " + ref.name + " in " + file.path() + " is a vector stored as a quantised type");
    if (w.cols % block_of(ref.type).elements != 0)
      throw Error("weight " + ref.name + " in " + file.path() + " is stored in blocks of " + std::to_string(block_of(ref.type).elements) +
                  " that do not fill its rows");
    if (ref.bytes != static_cast<uint64_t>(bytes_of(ref.type, w.rows * w.cols)))
      throw Error("weight " + ref.name + " in " + file.path() + " has a size that does not match its shape");
    if (ref.offset > file.size() || ref.bytes > file.size() - ref.offset)
      throw Error(file.path() + " is truncated: weight " + ref.name + " lies past its end");
    *w.slot = Weight{file.data() + ref.offset, ref.type, w.rows, w.cols, find_scales(ref, w.rows, w.cols, model->files)};
  }
  for (const auto& [role, w] : expected)
    if (!*w.slot && !w.optional) throw Error("the model has no weight for " + role);
  for (size_t i = 0; i < opened.size(); ++i) opened[i]->seal(marks(refs, i));
  return model;
}

}  // namespace headzip
