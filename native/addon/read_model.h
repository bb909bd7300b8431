// A model as JavaScript describes it: sizes, files, and where each weight lies.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "../model.h"

namespace headzip::addon {

ModelSpec read_spec(const Napi::Value& value);
// Ropes in place of the model's, with the positions they are made for; where there are none both stay as they are.
void read_other_ropes(const Napi::Object& o, std::vector<RopeRef>& ropes, int64_t& max_positions);
std::vector<std::string> read_paths(const Napi::Value& value);
std::vector<WeightRef> read_weights(const Napi::Value& value);

}  // namespace headzip::addon
