#include "read_model.h"

#include <utility>

#include "args.h"

namespace headzip::addon {

namespace {

std::vector<RopeRef> read_ropes(const Napi::Value& value) {
  const Napi::Array a = array(value, "ropes");
  std::vector<RopeRef> ropes;
  for (uint32_t i = 0; i < a.Length(); ++i) {
    const Napi::Object o = object(a.Get(i), "ropes[i]");
    const Napi::Value adjacent = o.Get("adjacent");
    ropes.push_back(
        std::make_shared<const Rope>(Rope{floats(field(o, "invFreq"), "invFreq"), number(field(o, "scale"), "rope scale"),
                                          !adjacent.IsUndefined() && boolean(adjacent, "adjacent")}));
  }
  return ropes;
}

AttentionSpec read_attention(const Napi::Value& value) {
  const Napi::Object o = object(value, "attention");
  const auto size = [&](const char* name) { return integer(field(o, name), name); };
  AttentionSpec a;
  a.heads = size("heads");
  a.kv_heads = size("kvHeads");
  a.head_dim = size("headDim");
  a.window = size("window");
  const int64_t rope = size("rope");
  if (rope < 0) refuse(value.Env(), "a layer's rope must not be negative");
  a.rope = static_cast<size_t>(rope);
  a.scale = number(field(o, "scale"), "scale");
  a.head_norms = boolean(field(o, "headNorms"), "headNorms");
  return a;
}

std::variant<DenseSpec, MoeSpec> read_mlp(const Napi::Value& value) {
  const Napi::Object o = object(value, "mlp");
  const auto size = [&](const char* name) { return integer(field(o, name), name); };
  if (!o.Has("experts")) return DenseSpec{size("intermediateSize")};
  return MoeSpec{size("experts"), size("perToken"), size("intermediateSize"), size("sharedIntermediateSize"),
                 boolean(field(o, "normalise"), "normalise")};
}

std::vector<LayerSpec> read_layers(const Napi::Value& value) {
  const Napi::Array a = array(value, "layers");
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < a.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Object o = object(a.Get(i), "layers[i]");
    layers.push_back({read_attention(field(o, "attention")), read_mlp(field(o, "mlp")), boolean(field(o, "scored"), "scored")});
  }
  return layers;
}

Activation read_activation(const Napi::Value& value) {
  const std::string name = text(value, "activation");
  if (name == "silu") return Activation::kSilu;
  if (name == "gelu_tanh") return Activation::kGeluTanh;
  refuse(value.Env(), "activation must be silu or gelu_tanh, got " + name);
}

}  // namespace

void read_other_ropes(const Napi::Object& o, std::vector<RopeRef>& ropes, int64_t& max_positions) {
  const Napi::Value given = o.Get("ropes");
  if (given.IsNull() || given.IsUndefined()) return;
  ropes = read_ropes(given);
  max_positions = integer(field(o, "maxPositions"), "maxPositions");
  if (ropes.empty() || max_positions < 1) refuse(o.Env(), "ropes need entries and the positions they are made for");
}

ModelSpec read_spec(const Napi::Value& value) {
  const Napi::Object o = object(value, "spec");
  const auto size = [&](const char* name) { return integer(field(o, name), name); };
  const auto real = [&](const char* name) { return number(field(o, name), name); };
  ModelSpec s;
  s.hidden = size("hiddenSize");
  s.vocab = size("vocabSize");
  s.max_positions = size("maxPositions");
  s.norm_eps = real("normEps");
  s.norm_offset = real("normOffset");
  s.embed_scale = real("embedScale");
  s.logit_cap = real("logitCap");
  s.activation = read_activation(field(o, "activation"));
  s.out_norms = boolean(field(o, "outNorms"), "outNorms");
  s.ropes = read_ropes(field(o, "ropes"));
  s.layers = read_layers(field(o, "layers"));
  return s;
}

std::vector<std::string> read_paths(const Napi::Value& value) {
  const Napi::Array a = array(value, "files");
  std::vector<std::string> paths;
  for (uint32_t i = 0; i < a.Length(); ++i) paths.push_back(text(a.Get(i), "files[i]"));
  return paths;
}

namespace {
StoredType stored_type(const Napi::Value& value) {
  const std::string t = text(value, "dtype");
  constexpr std::pair<const char*, StoredType> kTypes[] = {{"F32", StoredType::kF32},   {"F16", StoredType::kF16},
                                                           {"BF16", StoredType::kBF16}, {"F8_E4M3", StoredType::kF8_E4M3},
                                                           {"Q8_0", StoredType::kQ8_0}, {"Q4_0", StoredType::kQ4_0},
                                                           {"Q4_1", StoredType::kQ4_1}, {"Q5_0", StoredType::kQ5_0},
                                                           {"Q5_1", StoredType::kQ5_1}, {"Q4_K", StoredType::kQ4_K},
                                                           {"Q5_K", StoredType::kQ5_K}, {"Q6_K", StoredType::kQ6_K}};
  for (const auto& [name, type] : kTypes)
    if (t == name) return type;
  refuse(value.Env(), "dtype must be one of the stored types, got " + t);
}

// What weights and scales have in common.
template <typename Ref>
void read_location(const Napi::Object& o, Ref& r) {
  r.name = text(field(o, "name"), "name");
  const int64_t file = integer(field(o, "file"), "file");
  const int64_t offset = integer(field(o, "offset"), "offset"), size = integer(field(o, "bytes"), "bytes");
  if (file < 0 || offset < 0 || size < 0) refuse(o.Env(), "weight " + r.name + " has a negative offset");
  r.file = static_cast<size_t>(file);
  r.offset = static_cast<uint64_t>(offset);
  r.bytes = static_cast<uint64_t>(size);
  r.type = stored_type(field(o, "dtype"));
  const Napi::Array shape = array(field(o, "shape"), "shape");
  for (uint32_t d = 0; d < shape.Length(); ++d) r.shape.push_back(integer(shape.Get(d), "shape[i]"));
}

ScalesRef read_scales(const Napi::Value& value) {
  const Napi::Object o = object(value, "scales");
  ScalesRef s;
  read_location(o, s);
  s.block_rows = integer(field(o, "blockRows"), "blockRows");
  s.block_cols = integer(field(o, "blockCols"), "blockCols");
  s.row = integer(field(o, "row"), "row");
  return s;
}
}  // namespace

std::vector<WeightRef> read_weights(const Napi::Value& value) {
  const Napi::Array a = array(value, "weights");
  std::vector<WeightRef> refs;
  for (uint32_t i = 0; i < a.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Object o = object(a.Get(i), "weights[i]");
    WeightRef r;
    r.role = text(field(o, "role"), "role");
    read_location(o, r);
    if (const Napi::Value scales = o.Get("scales"); !scales.IsUndefined()) r.scales = read_scales(scales);
    refs.push_back(std::move(r));
  }
  return refs;
}

}  // namespace headzip::addon
