#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "drive.h"
#include "error.h"
#include "stored.h"

namespace headzip::test {

namespace {

class Writer {
 public:
  void add(const std::string& role, std::vector<int64_t> shape, StoredType type = StoredType::kF32) {
    const int64_t rows = shape[0], cols = shape.size() > 1 ? shape[1] : 1;
    const auto below = [this](int64_t end) { return static_cast<int64_t>(random_()) % end; };
    const bool vector = shape.size() == 1;
    const Encoded encoded =
        random_weight(type, rows, cols, below, {.type = StoredType::kBF16, .block_rows = 16, .block_cols = 16});
    WeightRef ref{.role = role, .name = role, .file = 0, .type = type, .shape = std::move(shape), .scales = {}};
    ref.offset = put(encoded.bytes), ref.bytes = encoded.bytes.size();
    if (type == StoredType::kF8_E4M3) {
      ScalesRef scales{.name = role + "_scale",
                       .file = 0,
                       .type = StoredType::kBF16,
                       .shape = {(rows + 15) / 16, (cols + 15) / 16},
                       .block_rows = 16,
                       .block_cols = 16,
                       .row = 0};
      scales.offset = put(encoded.scales), scales.bytes = encoded.scales.size();
      ref.scales = scales;
    }
    if (vector) soften(ref.offset, rows);
    refs.push_back(std::move(ref));
  }
  std::vector<WeightRef> refs;
  std::vector<std::byte> bytes;
  float size = 1;  // of norms: small ones make up for weights in blocks, which are large

 private:
  uint64_t put(const std::vector<std::byte>& part) {
    bytes.resize((bytes.size() + 63) / 64 * 64);
    const uint64_t at = bytes.size();
    bytes.insert(bytes.end(), part.begin(), part.end());
    return at;
  }
  // Norms and biases are near one size, for numbers to stay ordinary.
  void soften(uint64_t at, int64_t count) {
    auto* values = reinterpret_cast<float*>(bytes.data() + at);
    for (int64_t i = 0; i < count; ++i) values[i] = size * (1 + 0.2f * values[i]);
  }
  std::mt19937 random_{5};
};

void add_attention(Writer& w, const std::string& at, const ModelSpec& spec, const AttentionSpec& a, StoredType type,
                   bool bias) {
  w.add(at + "attn_norm", {spec.hidden});
  w.add(at + "mlp_norm", {spec.hidden});
  w.add(at + "q", {a.q_width(), spec.hidden}, type);
  w.add(at + "k", {a.kv_width(), spec.hidden}, type);
  w.add(at + "v", {a.kv_width(), spec.hidden}, type);
  w.add(at + "o", {spec.hidden, a.q_width()}, type);
  if (a.head_norms) w.add(at + "q_norm", {a.head_dim}), w.add(at + "k_norm", {a.head_dim});
  if (bias) w.add(at + "q_bias", {a.q_width()}), w.add(at + "k_bias", {a.kv_width()}), w.add(at + "v_bias", {a.kv_width()});
  if (spec.out_norms) w.add(at + "attn_out_norm", {spec.hidden}), w.add(at + "mlp_out_norm", {spec.hidden});
}

void add_mlp(Writer& w, const std::string& at, int64_t hidden, int64_t inner, StoredType type) {
  w.add(at + "gate", {inner, hidden}, type);
  w.add(at + "up", {inner, hidden}, type);
  w.add(at + "down", {hidden, inner}, type);
}

std::unique_ptr<TinyModel> written(const std::string& name, ModelSpec spec, Writer& w) {
  w.add("embed", {spec.vocab, spec.hidden});
  w.add("lm_head", {spec.vocab, spec.hidden});
  w.add("final_norm", {spec.hidden});
  auto tiny = std::make_unique<TinyModel>();
  const char* folder = std::getenv("TMPDIR");
  tiny->name = name;
  tiny->path = std::string(folder != nullptr ? folder : "/tmp") + "/headzip-drive-XXXXXX";
  const int fd = ::mkstemp(tiny->path.data());
  if (fd < 0 || ::write(fd, w.bytes.data(), w.bytes.size()) != static_cast<ssize_t>(w.bytes.size()))
    throw Error("a temporary file could not be written");
  ::close(fd);
  tiny->model = open_model(std::move(spec), {tiny->path}, w.refs);
  return tiny;
}

RopeRef make_rope(int64_t head_dim, bool adjacent) {
  auto rope = std::make_shared<Rope>();
  for (int64_t d = 0; d < head_dim / 2; ++d)
    rope->inv_freq.push_back(static_cast<float>(std::pow(1e4, -2.0 * static_cast<double>(d) / static_cast<double>(head_dim))));
  rope->adjacent = adjacent;
  return rope;
}

}  // namespace

TinyModel::~TinyModel() { ::unlink(path.c_str()); }

std::unique_ptr<TinyModel> hybrid_model() {
  ModelSpec spec;
  spec.hidden = 40, spec.vocab = 51, spec.max_positions = 4096, spec.norm_eps = 1e-6f, spec.norm_offset = 1,
  spec.embed_scale = 2, spec.logit_cap = 30;
  spec.activation = Activation::kGeluTanh, spec.out_norms = true;
  spec.ropes = {make_rope(10, false), make_rope(8, true)};
  Writer w;
  for (int l = 0; l < 4; ++l) {
    const bool slides = l % 2 == 0;
    AttentionSpec a{.heads = 6,
                    .kv_heads = 2,
                    .head_dim = slides ? 10 : 12,
                    .window = slides ? 24 : 0,
                    .rope = slides ? 0u : 1u,
                    .scale = 0.3f,
                    .head_norms = true};
    spec.layers.push_back({a, DenseSpec{37}, !slides});
    const std::string at = "layers." + std::to_string(l) + ".";
    const StoredType type = l == 1 ? StoredType::kF8_E4M3 : l == 2 ? StoredType::kBF16 : StoredType::kF32;
    add_attention(w, at, spec, a, type, l == 0);
    add_mlp(w, at, spec.hidden, 37, type);
  }
  return written("a hybrid model", std::move(spec), w);
}

std::unique_ptr<TinyModel> moe_model() {
  ModelSpec spec;
  spec.hidden = 256, spec.vocab = 67, spec.max_positions = 4096, spec.norm_eps = 1e-5f;
  spec.ropes = {make_rope(16, false)};
  Writer w;
  w.size = 0.02f;
  const StoredType types[] = {StoredType::kQ8_0, StoredType::kQ4_K, StoredType::kQ6_K};
  for (int l = 0; l < 3; ++l) {
    const AttentionSpec a{.heads = 16, .kv_heads = 4, .head_dim = 16, .scale = 0.25f};
    const MoeSpec moe{
        .experts = 5, .per_token = 2, .intermediate = 256, .shared_intermediate = l == 0 ? 256 : 0, .normalise = l != 1};
    spec.layers.push_back({a, moe, true});
    const std::string at = "layers." + std::to_string(l) + ".";
    add_attention(w, at, spec, a, types[l], false);
    w.add(at + "router", {moe.experts, spec.hidden});
    for (int64_t e = 0; e < moe.experts; ++e)
      add_mlp(w, at + "experts." + std::to_string(e) + ".", spec.hidden, 256, e == 0 ? StoredType::kQ5_0 : types[l]);
    if (moe.shared_intermediate == 0) continue;
    w.add(at + "shared_router", {1, spec.hidden});
    add_mlp(w, at + "shared.", spec.hidden, 256, StoredType::kQ4_1);
  }
  return written("an MoE model", std::move(spec), w);
}

std::vector<int32_t> some_ids(int64_t count, int64_t vocab, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint32_t>(vocab));
  return ids;
}

}  // namespace headzip::test
