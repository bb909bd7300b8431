// The KV cache of one context: a layer's heads may hold different numbers of entries once some were evicted.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "../backend.h"

namespace headzip {

struct KvCache {
  std::vector<std::unique_ptr<KvLayer>> layers;
  int64_t kv_heads = 0;
  int64_t sink = 0, context = 0;   // tokens prefilled; the sink is never evicted
  int64_t position = 0;            // of the next token
  bool evicted = false;            // context entries were dropped, so a second eviction has no positions to speak of
  std::vector<float> last_logits;  // (vocab), of the last prefilled token

  // Lengths of every (layer, head): what truncate() takes a cache back to.
  struct Snapshot {
    std::vector<int64_t> lengths;
    int64_t position = 0;
  };
  Snapshot snapshot() const;
  void truncate(const Snapshot& to);
  std::unique_ptr<KvCache> clone() const;
  size_t allocated_bytes() const;
  size_t used_bytes() const;

  // Drops the whole context of heads whose mask entry is 0; mask is (layers, kv_heads).
  void retain_heads(std::span<const uint8_t> mask);
  // Drops single context entries; mask is (layers, kv_heads, context).
  void retain_pairs(std::span<const uint8_t> mask);

 private:
  void begin_eviction();
};

// Keeps the sink, what stands after the context, and of the context what `keep` says; keep is (context) or empty: none.
void retain_context(KvLayer& layer, int64_t head, int64_t sink, int64_t context, std::span<const uint8_t> keep);

}  // namespace headzip
