// Plain JavaScript descriptions, read into the engine's structures.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "../kv/restore.h"
#include "../decode/generate.h"
#include "../model.h"
#include "../sweep/means.h"
#include "../sweep/sweep.h"

namespace headzip::addon {

ModelSpec read_spec(const Napi::Value& value);
std::vector<std::string> read_paths(const Napi::Value& value);
std::vector<WeightRef> read_weights(const Napi::Value& value);
SweepParams read_sweep(const Napi::Value& value);
MeansParams read_means(const Napi::Value& value);
std::vector<GenerateParams> read_generate(const Napi::Value& value);
Window read_window(const Napi::Value& value);
CacheShape read_cache_shape(const Napi::Value& value);

}  // namespace headzip::addon
