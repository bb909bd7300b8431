// A cache under masks of heads and of pairs.
#include "kv/kv_cache.h"

#include "error.h"
#include "marked.h"
#include "unit.h"

namespace headzip::test {

namespace {

using Ids = std::vector<int64_t>;
using Mask = std::vector<uint8_t>;
constexpr int64_t kPrefix = 3, kContext = 20, kAll = kPrefix + kContext;

std::unique_ptr<KvCache> fresh(Backend& backend) { return marked_cache(backend, 3, {0, 2}, kPrefix, kContext); }

// Entries of all heads, layer by layer.
std::vector<Ids> all_marks(const KvCache& cache) {
  std::vector<Ids> out;
  for (int64_t l = 0; l < cache.layer_count(); ++l)
    for (int64_t h = 0; h < kHeads; ++h) out.push_back(marks(cache.kv(l), h));
  return out;
}

const Ids kWhole = range(0, kAll), kOnlyPrefix = range(0, kPrefix);

void heads_lose_their_context(Backend& backend) {
  const auto cache = fresh(backend);
  expect(cache->scored_heads() == 4 && cache->lengths() == Ids(6, kAll), "four heads are scored, six are there");
  const size_t allocated = cache->allocated_bytes(), used = cache->used_bytes();
  cache->retain_heads(Mask{1, 0, 0, 1}, {});
  expect(all_marks(*cache) == std::vector<Ids>{kWhole, kOnlyPrefix, kWhole, kWhole, kOnlyPrefix, kWhole},
         "heads at 0 keep the prefix; the layer between is none of them");
  expect(cache->used_bytes() < used && cache->allocated_bytes() <= allocated && cache->evicted && cache->position == kAll,
         "bytes are given back, positions stay");
  refused<Error>([&] {
    cache->retain_heads(Mask(4, 1), {});
  }, "this cache has been pruned already; prefill the context again, or prefill it with kind retain", "pruning it again");
  refused<Error>([&] { cache->retain_pairs(Mask(4 * kContext, 1)); }, "prefill it with kind retain",
                 "pruning it again by pairs");
  refused<Error>([&] { cache->select_heads(Mask(4, 1), {}); }, "prefill it with kind retain", "selecting from it");
}

void heads_become_streaming(Backend& backend) {
  const auto cache = fresh(backend);
  cache->retain_heads(Mask{0, 1, 1, 1}, {1, 5});
  expect(marks(cache->kv(0), 0) == join(kOnlyPrefix, range(kAll - 5, kAll)), "the prefix and what is recent are left");
  expect(cache->kv(0).window(0).sink == kPrefix && cache->kv(0).window(0).recent == 5, "a sink covers the prefix");
  expect(cache->kv(0).window(1).recent == 0 && cache->kv(2).window(0).recent == 0 && marks(cache->kv(0), 1) == kWhole,
         "the others see all");
}

void pairs_are_dropped(Backend& backend) {
  const auto cache = fresh(backend);
  Mask mask(4 * kContext, 1);
  mask[0] = 0;                                                      // layer 0, head 0: the context's first
  std::fill_n(mask.begin() + 2 * kContext, kContext, uint8_t{0});   // layer 2, head 0: all
  mask[3 * kContext + kContext - 1] = 0;                            // layer 2, head 1: the last
  cache->retain_pairs(mask);
  expect(all_marks(*cache) == std::vector<Ids>{join(kOnlyPrefix, range(kPrefix + 1, kAll)), kWhole, kWhole, kWhole, kOnlyPrefix,
                                               range(0, kAll - 1)},
         "entries at 0 are dropped, and only they");
}

void masks_have_a_size(Backend& backend) {
  const auto cache = fresh(backend);
  for (const size_t size : {size_t{0}, size_t{3}, size_t{5}, size_t{6}}) {
    refused<Error>([&] { cache->retain_heads(Mask(size), {}); }, "as many entries as the scored layers have KV heads",
                   "a mask of heads");
    refused<Error>([&] { cache->select_heads(Mask(size), {}); }, "as many entries as the scored layers have KV heads",
                   "a mask of heads to select");
  }
  for (const size_t size : {size_t{0}, size_t{4 * kContext - 1}, size_t{4 * kAll}}) {
    refused<Error>([&] { cache->retain_pairs(Mask(size)); }, "times the context", "a mask of pairs");
    refused<Error>([&] { cache->select_pairs(Mask(size)); }, "times the context", "a mask of pairs to select");
  }
  expect(!cache->evicted && all_marks(*cache) == std::vector<Ids>(6, kWhole), "what is refused prunes nothing");
}

void selection_leaves_the_cache(Backend& backend) {
  const auto cache = fresh(backend);
  const auto heads = cache->select_heads(Mask{1, 0, 0, 1}, {}), streaming = cache->select_heads(Mask{0, 1, 1, 1}, {1, 5});
  Mask pairs(4 * kContext, 1);
  pairs[5] = 0;
  const auto picked = cache->select_pairs(pairs);
  expect(all_marks(*cache) == std::vector<Ids>(6, kWhole) && !cache->evicted, "the cache stays as it is");
  expect(all_marks(*heads) == std::vector<Ids>{kWhole, kOnlyPrefix, kWhole, kWhole, kOnlyPrefix, kWhole},
         "heads are gathered as retain_heads() leaves them");
  expect(marks(streaming->kv(0), 0) == join(kOnlyPrefix, range(kAll - 5, kAll)) && streaming->kv(0).window(0).recent == 5 &&
             streaming->kv(0).window(1).recent == 0,
         "streaming heads get their window");
  expect(marks(picked->kv(0), 0).size() == kAll - 1 && picked->kv(0).position(0, kPrefix + 5) == kPrefix + 6,
         "pairs are gathered with their positions");
  for (const KvCache* each : {heads.get(), streaming.get(), picked.get()})
    expect(each->evicted && each->position == kAll && each->prefix == kPrefix && each->context == kContext &&
               each->last_logits.size() == 3,
           "its facts come along");
  // Each is a cache of its own.
  append_marked(backend, heads->kv(0), kAll, 1);
  expect(cache->kv(0).length(0) == kAll, "and they share no bytes");
}

void clones_are_apart(Backend& backend) {
  const auto cache = fresh(backend);
  const auto copy = cache->clone();
  copy->retain_heads(Mask(4, 0), {0, 4});
  expect(all_marks(*cache) == std::vector<Ids>(6, kWhole) && !cache->evicted && copy->evicted,
         "pruning a clone leaves the cache");
  const auto again = copy->clone();
  expect(all_marks(*again) == all_marks(*copy) && again->kv(0).window(0).recent == 4 && again->evicted &&
             again->turn_start == kAll,
         "a clone of a pruned cache is pruned");
}

}  // namespace

void kv_cache_tests() {
  const auto backend = make_cpu_backend(1);
  heads_lose_their_context(*backend);
  heads_become_streaming(*backend);
  pairs_are_dropped(*backend);
  masks_have_a_size(*backend);
  selection_leaves_the_cache(*backend);
  clones_are_apart(*backend);
}

}  // namespace headzip::test
