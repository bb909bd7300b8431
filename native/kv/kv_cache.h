// The KV cache of one context: a layer's heads may hold different numbers of entries once some were evicted.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "../backend.h"
#include "evict.h"

namespace headzip {

struct KvCache {
  std::vector<std::unique_ptr<LayerState>> layers;
  std::vector<int64_t> scored;     // layers that are evicted: a mask has a row for each
  std::vector<RopeRef> ropes;      // that its keys were rotated with
  int64_t max_positions = 0;       // that those ropes are made for
  int64_t prefix = 0, context = 0;  // tokens prefilled; the system prefix is never evicted
  int64_t position = 0;            // of the next token
  int64_t turn_start = 0;  // position where the last turn of the conversation began: rewind() goes back to here at most
  bool evicted = false;  // context entries were dropped, so a second eviction has no positions to speak of
  std::vector<float> last_logits;  // (vocab), of the last prefilled token

  int64_t layer_count() const { return static_cast<int64_t>(layers.size()); }
  // Keys and values of an attention layer. Throws Error for a layer of another kind.
  KvLayer& kv(int64_t layer) const;
  std::unique_ptr<KvCache> clone() const;
  size_t allocated_bytes() const;
  size_t used_bytes() const;
  std::vector<int64_t> lengths() const;  // of the heads of all layers, one after another

  // KV heads of the scored layers: a mask of heads has so many entries.
  int64_t scored_heads() const;

  // Evict in place and free. mask (scored heads): heads at 0 lose their context, or with a window become streaming
  // heads. Throws Error for a mask of another size, and for a cache that was pruned already.
  void retain_heads(std::span<const uint8_t> mask, Window window);
  // mask (scored heads, context): entries at 0 are dropped.
  void retain_pairs(std::span<const uint8_t> mask);
  // The same, gathered into a cache of its own, as it was prefilled: what was said since is not in it. *this must not
  // be pruned, and stays as it is.
  std::unique_ptr<KvCache> select_heads(std::span<const uint8_t> mask, Window window) const;
  std::unique_ptr<KvCache> select_pairs(std::span<const uint8_t> mask) const;

  // One head, of a layer that need not be in the cache yet, at the cache's position.
  void evict_head(KvLayer& layer, int64_t head, Window window) const;

  // Joins a turn's entries (one layer of them a layer here) that stand at positions [position, position + tokens).
  // windows (layers): what a sliding layer's queries see; 0: all.
  void extend(std::span<const std::unique_ptr<KvLayer>> tail, int64_t tokens, std::span<const int64_t> windows,
              bool rewindable);
  // Forgets what stands at `to` and after. Throws Error for a position that is not within a last turn that is rewindable:
  // such a turn leaves entries in windows until the next one comes.
  void rewind(int64_t to);

 private:
  void check_unpruned() const;
  void copy_facts(KvCache& to) const;  // all but layers, positions and whether it was pruned
  void trim(std::span<const int64_t> windows);
  void check_mask(size_t entries, int64_t a_head, const char* what) const;
  template <typename Choose>
  std::unique_ptr<KvCache> select(Choose&& choose) const;
};

}  // namespace headzip
