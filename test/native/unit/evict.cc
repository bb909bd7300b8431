// Which entries an eviction leaves, and a layer's own primitives on the CPU.
#include "kv/evict.h"

#include <cstring>

#include "error.h"
#include "marked.h"
#include "unit.h"

namespace headzip::test {

namespace {

using Ids = std::vector<int64_t>;

void choices(Backend& backend) {
  const auto kv = backend.kv(kHeads, kHeadDim, 1);
  append_marked(backend, *kv, 0, 20);
  const Extent extent{3, 10};  // and 7 of a conversation
  expect(kept_entries(*kv, 0, 20, extent, {}) == join(range(0, 3), range(13, 20)), "without a mask the context goes");
  std::vector<uint8_t> keep(10, 0);
  keep[0] = keep[9] = 1;
  expect(kept_entries(*kv, 0, 20, extent, keep) == join(Ids{0, 1, 2, 3, 12}, range(13, 20)),
         "of the context a mask keeps what it says");
  expect(kept_entries(*kv, 0, 13, extent, keep) == Ids{0, 1, 2, 3, 12}, "entries past those asked for are no matter");
  kv->retain(1, Ids{1, 4, 6, 12, 13, 19});
  expect(kept_entries(*kv, 1, 6, extent, keep) == Ids{0, 3, 4, 5},
         "a head with gaps is read by position: the prefix, 12, 13 and 19");
  expect(streaming_entries(*kv, 0, 20, {2, 5}, 20) == join(Ids{0, 1}, range(15, 20)),
         "a streaming head keeps its sink and what is recent");
  expect(streaming_entries(*kv, 0, 20, {0, 100}, 20) == range(0, 20), "a window wider than all keeps all");
  expect(streaming_entries(*kv, 0, 20, {15, 10}, 20) == range(0, 20), "sink and window may overlap");
  expect(streaming_entries(*kv, 1, 6, {2, 7}, 20) == Ids{0, 4, 5}, "a streaming head with gaps, too");
  expect(all_entries(3) == Ids{0, 1, 2} && all_entries(0).empty(), "all entries are all");
  forget_before(*kv, 1, 6);
  expect(marks(*kv, 1) == Ids{6, 12, 13, 19} && marks(*kv, 0) == range(0, 20),
         "what stands before a position is forgotten, in one head");
  forget_before(*kv, 1, 3);
  forget_before(*kv, 0, 100);
  expect(marks(*kv, 1).size() == 4 && kv->length(0) == 0, "nothing before: nothing forgotten; all before: all forgotten");
}

void best(std::vector<float> scores, UniformRule rule, std::vector<uint8_t> want, const std::string& what) {
  std::vector<uint8_t> keep(scores.size(), 7);
  best_entries(scores, rule, keep);
  expect(keep == want, what);
}

void uniform_rule() {
  best({0.1f, 0.9f, 0.5f, 0.7f}, {2, false}, {0, 1, 0, 1}, "the two best are kept");
  best({0.5f, 0.5f, 0.5f, 0.9f}, {2, false}, {1, 0, 0, 1}, "ties are kept in the order they lie in");
  best({0.5f, 0.5f, 0.5f, 0.9f}, {2, true}, {0, 0, 0, 1}, "with `above` ties with the last one go");
  best({0.5f, 0.5f, 0.5f}, {2, true}, {0, 0, 0}, "of equal ones none is above");
  best({0.5f, 0.1f}, {5, false}, {1, 1}, "more than there are: all");
  best({0.5f, 0.1f}, {0, false}, {0, 0}, "none asked for: none");
  best({0.5f, 0.1f}, {-3, false}, {0, 0}, "fewer than none: none");
  best({}, {3, false}, {}, "no scores: nothing");
}

void layers_refuse_what_cannot_be(Backend& backend) {
  const auto kv = backend.kv(kHeads, kHeadDim, 1), other = backend.kv(kHeads, 2 * kHeadDim, 1),
             fewer = backend.kv(1, kHeadDim, 1);
  append_marked(backend, *kv, 0, 5);
  refused<Error>([&] { kv->retain(0, Ids{4, 5}); }, "ascending positions of the cache", "an entry that is not there");
  refused<Error>([&] { kv->retain(0, Ids{2, 1}); }, "ascending positions of the cache", "entries out of order");
  refused<Error>([&] { kv->extend(*other); }, "layers of different shapes cannot be joined", "another head_dim");
  refused<Error>([&] { kv->extend(*fewer); }, "layers of different shapes cannot be joined", "fewer heads");
  refused<Error>([&] { kv->gather(std::vector<Ids>{{0}}, 5); }, "a list of entries is needed for every head", "a list too few");
  refused<Error>([&] { kv->gather(std::vector<Ids>{{0}, {7}}, 5); }, "ascending positions of the cache",
                 "a list with an entry that is not there");
  std::vector<std::byte> bytes(8 * kHeadDim * 4);
  const int32_t positions[8] = {};
  for (const auto& [head, from, count] :
       std::vector<std::array<int64_t, 3>>{{-1, 0, 1}, {2, 0, 1}, {0, -1, 1}, {0, 0, -1}, {0, 0, 6}, {0, 5, 1}}) {
    refused<Error>([&] { kv->read(head, from, count, bytes.data(), bytes.data()); }, "these entries are not in the cache",
                   "reading what is not there");
    refused<Error>([&] { kv->write(head, from, count, bytes.data(), bytes.data(), positions); },
                   "these entries are not in the cache", "writing it");
  }
  expect(marks(*kv, 0) == range(0, 5) && marks(*kv, 1) == range(0, 5), "what is refused changes nothing");
}

void eviction_frees(Backend& backend) {
  const size_t before = backend.allocated_bytes();
  const auto kv = backend.kv(kHeads, kHeadDim, 1);
  append_marked(backend, *kv, 0, 4000);
  const size_t full = kv->allocated_bytes(), used = kv->used_bytes();
  expect(used == 2 * 4000 * kHeadDim * 2 * sizeof(float) && full >= used, "bytes are those of the entries, at least");
  kv->retain(0, Ids{3, 100, 3999});
  expect(marks(*kv, 0) == Ids{3, 100, 3999} && marks(*kv, 1) == range(0, 4000), "three entries of one head are left");
  expect(kv->allocated_bytes() < full * 6 / 10 && kv->used_bytes() == (4003 * kHeadDim * 2) * sizeof(float),
         "their bytes are given back");
  expect(backend.allocated_bytes() == before + kv->allocated_bytes(), "to the backend");
  kv->reserve(100);
  append_marked(backend, *kv, 4000, 50);
  expect(marks(*kv, 0) == join({3, 100, 3999}, range(4000, 4050)), "and it goes on behind them");
  const auto copy = kv->clone();
  append_marked(backend, *kv, 4050, 1);
  expect(marks(*copy->kv(), 0) == join({3, 100, 3999}, range(4000, 4050)), "a copy does not change with it");
}

}  // namespace

void evict_tests() {
  const auto backend = make_cpu_backend(1);
  choices(*backend);
  uniform_rule();
  layers_refuse_what_cannot_be(*backend);
  eviction_frees(*backend);
}

}  // namespace headzip::test
