// What a layer remembers of the tokens before: attention keeps keys and values (KvLayer).
#pragma once
#include <cstddef>
#include <memory>

namespace headzip {

class KvLayer;

class LayerState {
 public:
  virtual ~LayerState() = default;
  virtual KvLayer* kv() { return nullptr; }  // where this is one
  virtual std::unique_ptr<LayerState> clone() const = 0;
  // Bytes allocated, and bytes that what is held needs.
  virtual size_t allocated_bytes() const = 0;
  virtual size_t used_bytes() const = 0;
};

}  // namespace headzip
