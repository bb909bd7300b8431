// A cache whose entries come from elsewhere: made with its final lengths, then written head by head.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "../backend.h"
#include "kv_cache.h"

namespace headzip {

struct CacheShape {
  int64_t prefix = 0, context = 0, position = 0;
  bool evicted = false;
  std::vector<float> last_logits;  // (vocab)
  std::vector<int32_t> lengths;    // of the heads of all layers, one after another
  std::vector<RopeRef> ropes;      // as in a prefill of the same context; empty: the model's own
  int64_t max_positions = 0;       // that those are made for; 0: the model's
  std::vector<int32_t> windows;    // (those heads, 2): sink and recent of streaming heads, 0 0 of the others
};

// Throws Error for a shape that the model's caches cannot have.
std::unique_ptr<KvCache> empty_cache(Backend& backend, const ModelSpec& spec, const CacheShape& shape);

}  // namespace headzip
