// A cache that a conversation goes on in: turns that join it, windows that pass over it, turns taken back.
#include "error.h"
#include "kv/kv_cache.h"
#include "marked.h"
#include "unit.h"

namespace headzip::test {

namespace {

using Ids = std::vector<int64_t>;
using Mask = std::vector<uint8_t>;
constexpr int64_t kPrefix = 2, kContext = 10, kAll = kPrefix + kContext;

void say(Backend& backend, KvCache& cache, int64_t tokens, const Ids& windows, bool rewindable) {
  std::vector<std::unique_ptr<KvLayer>> tail;
  for (int64_t l = 0; l < cache.layer_count(); ++l) {
    tail.push_back(backend.kv(kHeads, kHeadDim, 1));
    append_marked(backend, *tail.back(), cache.position, tokens);
  }
  cache.extend(tail, tokens, windows, rewindable);
}

void turns_join(Backend& backend) {
  const auto cache = marked_cache(backend, 2, {0, 1}, kPrefix, kContext);
  say(backend, *cache, 3, {0, 0}, false);
  expect(cache->position == kAll + 3 && cache->turn_start == cache->position, "positions go on");
  expect(marks(cache->kv(1), 1) == range(0, kAll + 3), "a turn's entries stand behind the cache's");
  refused<Error>([&] { cache->rewind(kAll); }, "within its last turn only, and only where that was asked for",
                 "taking back a turn that was not to be");
  say(backend, *cache, 4, {0, 0}, true);
  expect(cache->turn_start == kAll + 3, "a turn that may be taken back begins where it began");
  for (const int64_t bad : {int64_t{0}, kAll + 2, kAll + 8})
    refused<Error>([&] { cache->rewind(bad); }, "within its last turn only, and only where that was asked for",
                   "rewinding to " + std::to_string(bad));
  cache->rewind(kAll + 5);
  expect(cache->position == kAll + 5 && marks(cache->kv(0), 0) == range(0, kAll + 5), "half of it is forgotten");
  cache->rewind(kAll + 3);
  expect(marks(cache->kv(0), 0) == range(0, kAll + 3), "then all of it");
  say(backend, *cache, 2, {0, 0}, false);
  expect(marks(cache->kv(0), 1) == range(0, kAll + 5), "and another stands in its place");
  refused<Error>([&] { say(backend, *cache, 1, {0}, false); }, "a turn has as many layers as its cache",
                 "windows of other layers");
}

void turns_behind_an_evicted_context(Backend& backend) {
  const auto cache = marked_cache(backend, 1, {0}, kPrefix, kContext);
  say(backend, *cache, 3, {0}, false);
  const auto selected = cache->select_heads(Mask{1, 0}, {});
  expect(marks(selected->kv(0), 0) == range(0, kAll) && marks(selected->kv(0), 1) == range(0, kPrefix) &&
             selected->position == kAll,
         "what is selected is as it was prefilled: the conversation is not in it");
  cache->retain_heads(Mask{1, 0}, {});
  expect(marks(cache->kv(0), 1) == join(range(0, kPrefix), range(kAll, kAll + 3)),
         "what is evicted in place keeps the conversation");
  say(backend, *cache, 2, {0}, true);
  expect(marks(cache->kv(0), 1) == join(range(0, kPrefix), range(kAll, kAll + 5)) &&
             cache->lengths() == Ids{kAll + 5, kPrefix + 5},
         "and it goes on in both heads");
  cache->rewind(kAll + 3);
  expect(marks(cache->kv(0), 1) == join(range(0, kPrefix), range(kAll, kAll + 3)), "and back");
}

void windows_pass_over(Backend& backend) {
  // Layer 0 slides over 6 positions, in layer 1 head 0 streams over 4 and a sink of 2.
  const auto cache = marked_cache(backend, 2, {1}, kPrefix, kContext);
  cache->retain_heads(Mask{0, 1}, {0, 4});
  const Ids windows{6, 0};
  say(backend, *cache, 5, windows, true);
  // Before the turn what its first query sees was kept: it, and 5 before; 4 and the sink.
  expect(marks(cache->kv(0), 0) == range(kAll - 5, kAll + 5),
         "a sliding layer forgets what the turn's first query does not see");
  expect(marks(cache->kv(1), 0) == join(range(0, 2), range(kAll - 4, kAll + 5)),
         "a turn that may be taken back leaves its entries in a streaming head");
  cache->rewind(kAll + 1);
  say(backend, *cache, 7, windows, false);
  const int64_t next = kAll + 8;
  expect(marks(cache->kv(0), 0) == range(next - 5, next) && marks(cache->kv(0), 1) == range(next - 5, next),
         "then only what the next query sees");
  expect(marks(cache->kv(1), 0) == join(range(0, 2), range(next - 4, next)) && marks(cache->kv(1), 1) == range(0, next),
         "of a streaming head, too");
}

void a_sliding_layer_that_lost_its_context(Backend& backend) {
  const auto cache = marked_cache(backend, 2, {1}, kPrefix, kContext);
  say(backend, *cache, 3, {4, 0}, false);
  refused<Error>([&] { cache->select_heads(Mask{1, 1}, {}); },
                 "sliding layers lost entries of the context to a kept conversation; prefill the context again",
                 "selecting a prefill that is gone");
  const auto untouched = marked_cache(backend, 2, {1}, kPrefix, kContext);
  forget_before(untouched->kv(0), 0, 5), forget_before(untouched->kv(0), 1, 5);
  const auto selected = untouched->select_heads(Mask{0, 1}, {});
  expect(marks(selected->kv(0), 0) == range(5, kAll) && marks(selected->kv(1), 0) == range(0, kPrefix),
         "what a sliding layer never kept is not missed");
}

}  // namespace

void conversation_tests() {
  const auto backend = make_cpu_backend(1);
  turns_join(*backend);
  turns_behind_an_evicted_context(*backend);
  windows_pass_over(*backend);
  a_sliding_layer_that_lost_its_context(*backend);
}

}  // namespace headzip::test
