// What JavaScript asks of an engine, read into each call's own parameters.
#pragma once
#include <napi.h>

#include <vector>

#include "../decode/generate.h"
#include "../kv/restore.h"
#include "../sweep/means.h"
#include "../sweep/sweep.h"

namespace headzip::addon {

ScoreParams read_score(const Napi::Value& value);
PrefillParams read_prefill(const Napi::Value& value);
ScoreChunksParams read_score_chunks(const Napi::Value& value);
MeansParams read_means(const Napi::Value& value);
std::vector<GenerateParams> read_generate(const Napi::Value& value);
Window read_window(const Napi::Value& value);
CacheShape read_cache_shape(const Napi::Value& value);

}  // namespace headzip::addon
