#include "read_params.h"

#include <utility>

#include "args.h"
#include "read_model.h"

namespace headzip::addon {

MeansParams read_means(const Napi::Value& value) {
  const Napi::Object o = object(value, "params");
  MeansParams params;
  params.text = ids(field(o, "text"), "text");
  params.tile_rows = integer(field(o, "tileRows"), "tileRows");
  read_other_ropes(o, params.ropes, params.max_positions);
  return params;
}

Window read_window(const Napi::Value& value) {
  const Napi::Object o = object(value, "window");
  const Window window{integer(field(o, "sink"), "window.sink"), integer(field(o, "recent"), "window.recent")};
  if (window.sink < 0 || window.recent < 0) refuse(value.Env(), "window.sink and window.recent must not be negative");
  return window;
}

std::vector<GenerateParams> read_generate(const Napi::Value& value) {
  const Napi::Array list = array(value, "batch");
  std::vector<GenerateParams> batch;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Object o = object(list.Get(i), "batch[i]");
    GenerateParams params;
    params.query = ids(field(o, "query"), "query");
    params.max_tokens = integer(field(o, "maxTokens"), "maxTokens");
    params.stop = ids(field(o, "stop"), "stop");
    params.sampling.temperature = real(field(o, "temperature"), "temperature");
    params.sampling.top_k = integer(field(o, "topK"), "topK");
    params.sampling.top_p = real(field(o, "topP"), "topP");
    const int64_t seed = integer(field(o, "seed"), "seed");
    if (seed < 0) refuse(value.Env(), "seed must not be negative");
    params.sampling.seed = static_cast<uint64_t>(seed);
    batch.push_back(std::move(params));
  }
  return batch;
}

CacheShape read_cache_shape(const Napi::Value& value) {
  const Napi::Object o = object(value, "shape");
  CacheShape shape;
  shape.prefix = integer(field(o, "prefix"), "prefix");
  shape.context = integer(field(o, "context"), "context");
  shape.position = integer(field(o, "position"), "position");
  shape.evicted = boolean(field(o, "evicted"), "evicted");
  shape.last_logits = floats(field(o, "lastLogits"), "lastLogits");
  shape.lengths = ids(field(o, "lengths"), "lengths");
  shape.windows = ids(field(o, "windows"), "windows");
  read_other_ropes(o, shape.ropes, shape.max_positions);
  return shape;
}

}  // namespace headzip::addon
