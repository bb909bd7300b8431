#include "read_params.h"

#include <string>

#include "args.h"
#include "read_model.h"

namespace headzip::addon {

namespace {

bool given(const Napi::Value& value) { return !value.IsUndefined() && !value.IsNull(); }

// Most rows of a pass; left out: the engine's choice.
int64_t read_tile_rows(const Napi::Object& o) {
  const Napi::Value value = o.Get("tileRows");
  return given(value) ? integer(value, "tileRows") : 0;
}

Text read_text(const Napi::Object& o) {
  Text text;
  text.prefix = ids(field(o, "prefix"), "prefix");
  text.context = ids(field(o, "context"), "context");
  read_other_ropes(o, text.ropes, text.max_positions);
  return text;
}

std::vector<Chunk> read_chunks(const Napi::Object& o) {
  const Napi::Array list = array(field(o, "chunks"), "chunks");
  std::vector<Chunk> chunks;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::HandleScope scope(o.Env());
    const Napi::Object c = object(list.Get(i), "chunks[i]");
    chunks.push_back(
        {integer(field(c, "start"), "chunk.start"), integer(field(c, "end"), "chunk.end"), ids(field(c, "ids"), "chunk.ids")});
  }
  return chunks;
}

ScoreMethod read_method(const Napi::Object& o) {
  const std::string method = text(field(o, "method"), "method");
  if (method == "kvzip") return ScoreMethod::kKvzip;
  if (method == "kvzip+") return ScoreMethod::kKvzipPlus;
  refuse(o.Env(), "method must be kvzip or kvzip+, got " + method);
}

FullSweep read_kind(const Napi::Object&, FullSweep) { return {}; }
ChunkSweep read_kind(const Napi::Object&, ChunkSweep) { return {}; }
BlockSweep read_kind(const Napi::Object&, BlockSweep) { return {}; }
BlockPart read_kind(const Napi::Object& o, BlockPart) {
  return {integer(field(o, "before"), "before"), integer(field(o, "after"), "after")};
}

constexpr const char* name_of(FullSweep) { return "full"; }
constexpr const char* name_of(ChunkSweep) { return "chunk"; }
constexpr const char* name_of(BlockSweep) { return "block"; }
constexpr const char* name_of(BlockPart) { return "block"; }

template <typename... Kinds>
void read_scoring(const Napi::Object& o, Scoring<Kinds...>& scoring) {
  scoring.chunks = read_chunks(o);
  scoring.method = read_method(o);
  const std::string sweep = text(field(o, "sweep"), "sweep");
  const auto read = [&](auto kind) {
    if (sweep != name_of(kind)) return false;
    scoring.kind = read_kind(o, kind);
    return true;
  };
  if ((read(Kinds{}) || ...)) return;
  std::string names;
  ((names += (names.empty() ? "" : " or ") + std::string(name_of(Kinds{}))), ...);
  refuse(o.Env(), "sweep must be " + names + ", got " + sweep);
}

Scored read_scored(const Napi::Object& o) {
  Scored scored;
  read_scoring(o, scored.scoring);
  const Napi::Value uniform = o.Get("uniform");
  if (!given(uniform)) return scored;
  const Napi::Object rule = object(uniform, "uniform");
  scored.uniform = UniformRule{integer(field(rule, "count"), "uniform.count"), boolean(field(rule, "above"), "uniform.above")};
  return scored;
}

HeadMask read_mask(const Napi::Object& o) {
  HeadMask mask;
  mask.keep = bytes(field(o, "keep"), "keep");
  if (const Napi::Value window = o.Get("window"); given(window)) mask.window = read_window(window);
  return mask;
}

}  // namespace

ScoreParams read_score(const Napi::Value& value) {
  const Napi::Object o = object(value, "params");
  ScoreParams params;
  params.text = read_text(o);
  read_scoring(o, params.scoring);
  params.want_pairs = boolean(field(o, "pairs"), "pairs");
  return params;
}

PrefillParams read_prefill(const Napi::Value& value) {
  const Napi::Object o = object(value, "params");
  PrefillParams params;
  params.text = read_text(o);
  params.tile_rows = read_tile_rows(o);
  const Napi::Object eviction = object(field(o, "eviction"), "eviction");
  const std::string kind = text(field(eviction, "kind"), "eviction.kind");
  if (kind == "heads") params.eviction = read_mask(eviction);
  else if (kind == "scored") params.eviction = read_scored(eviction);
  else if (kind != "none") refuse(value.Env(), "eviction.kind must be none, heads or scored, got " + kind);
  return params;
}

ScoreChunksParams read_score_chunks(const Napi::Value& value) {
  const Napi::Object o = object(value, "params");
  ScoreChunksParams params;
  params.prefix = ids(field(o, "prefix"), "prefix");
  params.context = ids(field(o, "context"), "context");
  read_scoring(o, params.scoring);
  return params;
}

}  // namespace headzip::addon
