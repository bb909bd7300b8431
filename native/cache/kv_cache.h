// The KV cache of one context: a layer's heads may hold different numbers of entries once some were evicted.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "../backend.h"
#include "evict.h"

namespace headzip {

struct KvCache {
  std::vector<std::unique_ptr<KvLayer>> layers;
  std::vector<int64_t> scored;     // layers that are evicted: a mask has a row for each
  std::vector<RopeRef> ropes;      // that its keys were turned by
  int64_t max_positions = 0;       // that those ropes are made for
  std::vector<int64_t> windows;    // (layers) as LayerSpec::window
  int64_t kv_heads = 0;
  int64_t sink = 0, context = 0;   // tokens prefilled; the sink is never evicted
  int64_t position = 0;            // of the next token
  int64_t turn_start = 0;          // position where the last turn of the conversation began: rewind() goes back to here at most
  bool evicted = false;            // context entries were dropped, so a second eviction has no positions to speak of
  std::vector<float> last_logits;  // (vocab), of the last prefilled token

  std::unique_ptr<KvCache> clone() const;
  size_t allocated_bytes() const;
  size_t used_bytes() const;
  std::vector<int64_t> lengths() const;  // (layers, kv_heads)
  // Whether a sliding layer has lost entries between others: where they stood is then not to be told from its length.
  bool gapped() const;

  // Evict in place and free. mask (scored layers, kv_heads): heads at 0 lose their context, or with a window become
  // streaming heads. Throws Error for a mask of another size, and for a cache that was pruned already.
  void retain_heads(std::span<const uint8_t> mask, Window window);
  // mask (scored layers, kv_heads, context): entries at 0 are dropped.
  void retain_pairs(std::span<const uint8_t> mask);
  // The same, gathered into a cache of its own, as it was prefilled: what was said since is not in it. *this must not
  // be pruned, and stays as it is. Throws Error when sliding layers have lost what they held after the prefill.
  std::unique_ptr<KvCache> select_heads(std::span<const uint8_t> mask, Window window) const;
  std::unique_ptr<KvCache> select_pairs(std::span<const uint8_t> mask) const;

  // Joins a turn's entries (one layer of them a layer here) that stand at positions [position, position + tokens).
  void extend(std::span<const std::unique_ptr<KvLayer>> tail, int64_t tokens);
  // Forgets what stands at `to` and after. Throws Error for a position that is not within the last turn.
  void rewind(int64_t to);

 private:
  void check_unpruned() const;
  void copy_facts(KvCache& to) const;  // all but layers and positions
  template <typename Choose>
  std::unique_ptr<KvCache> select(Choose&& choose) const;
};

// The window of a streaming head of this cache: its sink covers the system prefix.
Window streaming_window(Window window, int64_t sink);

}  // namespace headzip
