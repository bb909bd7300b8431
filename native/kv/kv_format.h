// How one entry of a KV cache is stored.
#pragma once
#include "../element.h"

namespace headzip {

struct KvFormat {
  Element k = Element::kF32, v = Element::kF32;
  int64_t head_dim = 0;
  size_t key_bytes() const { return static_cast<size_t>(head_dim) * bytes_of(k); }
  size_t value_bytes() const { return static_cast<size_t>(head_dim) * bytes_of(v); }
  // Of one head's key and value, padding not counted.
  size_t entry_bytes() const { return key_bytes() + value_bytes(); }
  bool operator==(const KvFormat&) const = default;
};

}  // namespace headzip
