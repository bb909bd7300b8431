#include "check.h"

#include <string>

#include "error.h"

namespace headzip {

void check_ids(std::span<const int32_t> ids, const ModelSpec& spec, const char* what) {
  for (const int32_t id : ids)
    if (id < 0 || id >= spec.vocab)
      throw Error(std::string(what) + " holds the token id " + std::to_string(id) + ", but the model's vocabulary has " +
                  std::to_string(spec.vocab) + " entries");
}

void check_positions(int64_t needed, int64_t most, const char* what) {
  if (needed > most)
    throw Error(std::string(what) + " needs " + std::to_string(needed) + " positions, but the model has " +
                std::to_string(most));
}

}  // namespace headzip
