#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "../error.h"
#include "../model.h"
#include "check_spec.h"
#include "scales.h"

namespace headzip {

namespace {

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
  ExpectedWeights expected{
      {"embed", {&m.embed, s.vocab, s.hidden}},
      {"final_norm", {&m.final_norm, s.hidden, 1}},
      {"lm_head", {&m.lm_head, s.vocab, s.hidden}},
  };
  m.layers.resize(s.layers.size());
  for (size_t l = 0; l < s.layers.size(); ++l) {
    LayerWeights& w = m.layers[l];
    const AttentionSpec& a = s.layers[l].attention;
    const int64_t q = a.q_width(), kv = a.kv_width();
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
    if (a.head_norms) {
      expected.emplace(at + "q_norm", Expected{&w.q_norm, a.head_dim, 1});
      expected.emplace(at + "k_norm", Expected{&w.k_norm, a.head_dim, 1});
    }
    if (s.out_norms) {
      expected.emplace(at + "attn_out_norm", Expected{&w.attn_out_norm, s.hidden, 1});
      expected.emplace(at + "mlp_out_norm", Expected{&w.mlp_out_norm, s.hidden, 1});
    }
    const MoeSpec* moe = s.layers[l].moe();
    if (moe == nullptr) {
      expect_mlp(expected, at, w.mlp, s.hidden, std::get<DenseSpec>(s.layers[l].mlp).intermediate);
      continue;
    }
    expected.emplace(at + "router", Expected{&w.router, moe->experts, s.hidden});
    w.experts.resize(moe->experts);
    for (int64_t e = 0; e < moe->experts; ++e)
      expect_mlp(expected, at + "experts." + std::to_string(e) + ".", w.experts[e], s.hidden, moe->intermediate);
    if (moe->shared_intermediate == 0) continue;
    expected.emplace(at + "shared_router", Expected{&w.shared_router, 1, s.hidden});
    expect_mlp(expected, at + "shared.", w.shared, s.hidden, moe->shared_intermediate);
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
      throw Error("weight " + ref.name + " in " + file.path() + " is stored in blocks of " +
                  std::to_string(block_of(ref.type).elements) + " that do not fill its rows");
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
