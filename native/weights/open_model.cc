#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "../error.h"
#include "../model.h"

namespace headzip {

float ModelSpec::score_scale() const { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }

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
  if (static_cast<int64_t>(s.inv_freq.size()) != s.head_dim / 2) throw Error("inv_freq must hold head_dim / 2 values");
  for (const float f : s.inv_freq)
    if (!std::isfinite(f)) throw Error("inv_freq must be finite");
  if (!(s.norm_eps > 0) || !(s.attention_scale > 0) || !(s.rope_scale > 0))
    throw Error("rms_norm_eps, the attention scale and the rope scale must be positive numbers");
}

struct Want {
  Weight* slot;
  int64_t rows, cols;
  bool optional = false;
};

std::map<std::string, Want> wanted(Model& m) {
  const ModelSpec& s = m.spec;
  const int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  std::map<std::string, Want> want{
      {"embed", {&m.embed, s.vocab, s.hidden}},
      {"final_norm", {&m.final_norm, s.hidden, 1}},
      {"lm_head", {&m.lm_head, s.vocab, s.hidden}},
  };
  m.layers.resize(s.layers);
  for (int64_t l = 0; l < s.layers; ++l) {
    LayerWeights& w = m.layers[l];
    const std::string at = "layers." + std::to_string(l) + ".";
    want.emplace(at + "attn_norm", Want{&w.attn_norm, s.hidden, 1});
    want.emplace(at + "q", Want{&w.q, q, s.hidden});
    want.emplace(at + "k", Want{&w.k, kv, s.hidden});
    want.emplace(at + "v", Want{&w.v, kv, s.hidden});
    want.emplace(at + "o", Want{&w.o, s.hidden, q});
    want.emplace(at + "q_bias", Want{&w.q_bias, q, 1, true});
    want.emplace(at + "k_bias", Want{&w.k_bias, kv, 1, true});
    want.emplace(at + "v_bias", Want{&w.v_bias, kv, 1, true});
    want.emplace(at + "o_bias", Want{&w.o_bias, s.hidden, 1, true});
    want.emplace(at + "mlp_norm", Want{&w.mlp_norm, s.hidden, 1});
    want.emplace(at + "gate", Want{&w.gate, s.intermediate, s.hidden});
    want.emplace(at + "up", Want{&w.up, s.intermediate, s.hidden});
    want.emplace(at + "down", Want{&w.down, s.hidden, s.intermediate});
    want.emplace(at + "gate_bias", Want{&w.gate_bias, s.intermediate, 1, true});
    want.emplace(at + "up_bias", Want{&w.up_bias, s.intermediate, 1, true});
    want.emplace(at + "down_bias", Want{&w.down_bias, s.hidden, 1, true});
  }
  return want;
}

}  // namespace

std::shared_ptr<const Model> open_model(ModelSpec spec, const std::vector<std::string>& paths,
                                        const std::vector<WeightRef>& refs) {
  check_spec(spec);
  auto model = std::make_shared<Model>();
  model->spec = std::move(spec);
  for (const std::string& path : paths) model->files.push_back(MappedFile::open(path));
  std::map<std::string, Want> want = wanted(*model);

  for (const WeightRef& ref : refs) {
    const auto at = want.find(ref.role);
    if (at == want.end()) throw Error("weight " + ref.name + " has the unknown role " + ref.role);
    Want& w = at->second;
    if (*w.slot) throw Error("the role " + ref.role + " is given twice, the second time by " + ref.name);
    if (ref.file >= model->files.size()) throw Error("weight " + ref.name + " names a file that is not in the list");
    const MappedFile& file = *model->files[ref.file];
    const bool fits = w.cols == 1 ? ref.shape == std::vector{w.rows} : ref.shape == std::vector{w.rows, w.cols};
    if (!fits) throw Error("weight " + ref.name + " in " + file.path() + " has the wrong shape for " + ref.role);
    if (ref.bytes != static_cast<uint64_t>(w.rows) * w.cols * bytes_of(ref.type))
      throw Error("weight " + ref.name + " in " + file.path() + " has a size that does not match its shape");
    if (ref.offset > file.size() || ref.bytes > file.size() - ref.offset)
      throw Error(file.path() + " is truncated: weight " + ref.name + " lies past its end");
    *w.slot = Weight{file.data() + ref.offset, ref.type, w.rows, w.cols};
  }
  for (const auto& [role, w] : want)
    if (!*w.slot && !w.optional) throw Error("the model has no weight for " + role);
  return model;
}

}  // namespace headzip
