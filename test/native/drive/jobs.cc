// Every kind of job, one after the other.
#include <algorithm>
#include <cmath>

#include "decode/generate.h"
#include "drive.h"
#include "error.h"
#include "finite.h"
#include "kv/restore.h"
#include "sweep/means.h"

namespace headzip::test {

namespace {

constexpr int64_t kContext = 120, kAnswer = 9;
using Mask = std::vector<uint8_t>;

std::vector<GenerateParams> queries(const Model& model) {
  const int64_t vocab = model.spec.vocab;
  return {{some_ids(7, vocab, 21), kAnswer, {}, {}},
          {some_ids(1, vocab, 22), kAnswer, {3, 4}, {0.8, 20, 0.9, 7}},
          {some_ids(19, vocab, 23), 4, {}, {1.5, 0, 1, 8}}};
}

std::vector<Generation> answers(Backend& backend, const Model& model, const KvCache& cache) {
  JobControl control;
  const std::vector<GenerateParams> batch = queries(model);
  std::vector<TokenFeed> feeds(batch.size());
  return generate(backend, model, cache, batch, control, feeds);
}

bool alike(const std::vector<Generation>& a, const std::vector<Generation>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Generation& x, const Generation& y) {
    return x.ids == y.ids && x.first_logits == y.first_logits;
  });
}

Mask every_other(int64_t count) {
  Mask mask(static_cast<size_t>(count));
  for (size_t i = 0; i < mask.size(); i += 2) mask[i] = 1;
  return mask;
}

// A copy whose bytes went by way of host memory, as a file's do.
std::unique_ptr<KvCache> restored(Backend& backend, const Model& model, const KvCache& cache) {
  CacheShape shape{cache.prefix,  cache.context,       cache.position,
                   cache.evicted, cache.last_logits,   {},
                   cache.ropes,   cache.max_positions, {}};
  for (int64_t l = 0; l < cache.layer_count(); ++l)
    for (int64_t h = 0; h < cache.kv(l).heads(); ++h) {
      shape.lengths.push_back(static_cast<int32_t>(cache.kv(l).length(h)));
      shape.windows.push_back(static_cast<int32_t>(cache.kv(l).window(h).sink));
      shape.windows.push_back(static_cast<int32_t>(cache.kv(l).window(h).recent));
    }
  auto copy = empty_cache(backend, model.spec, shape);
  for (int64_t l = 0; l < cache.layer_count(); ++l)
    for (int64_t h = 0; h < cache.kv(l).heads(); ++h) {
      const KvLayer& kv = cache.kv(l);
      const int64_t length = kv.length(h);
      std::vector<std::byte> k(static_cast<size_t>(length) * kv.format().key_bytes()),
          v(static_cast<size_t>(length) * kv.format().value_bytes());
      std::vector<int32_t> positions;
      for (int64_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(kv.position(h, i)));
      kv.read(h, 0, length, k.data(), v.data());
      copy->kv(l).write(h, 0, length, k.data(), v.data(), positions.data());
    }
  return copy;
}

}  // namespace

Text text_of(const Model& model, int64_t context) {
  Text text;
  text.prefix = some_ids(3, model.spec.vocab, 1), text.context = some_ids(context, model.spec.vocab, 2);
  return text;
}

std::vector<Chunk> chunks_of(const Model& model, const Text& text) {
  const auto context = static_cast<int64_t>(text.context.size());
  std::vector<Chunk> chunks;
  for (int64_t start = 0; start < context; start += 50) {
    const int64_t end = std::min(context, start + 50);
    std::vector<int32_t> ids = some_ids(5, model.spec.vocab, 3);
    ids.insert(ids.end(), text.context.begin() + start, text.context.begin() + end);
    chunks.push_back({start, end, ids});
  }
  return chunks;
}

std::unique_ptr<KvCache> prefilled(Backend& backend, const Model& model, const PrefillParams& params) {
  JobControl control;
  return prefill(backend, model, params, control).cache;
}

namespace {

void check_progress(const JobControl& control, const TinyModel& tiny) {
  const double progress = control.done.load() / control.total.load();
  expect(progress > 0.75 && progress < 1.25, tiny.name + ": progress ends near its end, at " + std::to_string(progress));
}

// `part`: the block sweep as score() takes it.
template <typename Kind, typename Part>
void sweep(Backend& backend, const TinyModel& tiny, Kind kind, Part part, ScoreMethod method) {
  const Model& model = *tiny.model;
  const Text text = text_of(model, kContext);
  const std::vector<Chunk> chunks = chunks_of(model, text);
  JobControl first, second;
  const ScoreResult whole = score(backend, model, {text, {chunks, part, method}, true}, first);
  const PrefillResult tiles = prefill(backend, model, {text, Scored{{chunks, kind, method}, {}}, 23}, second);
  for (const std::vector<float>* pairs : {&whole.pairs, &tiles.pairs})
    expect(static_cast<int64_t>(pairs->size()) == model.spec.scored_heads() * kContext && all_finite(*pairs),
           tiny.name + ": every pair has a score");
  for (const JobControl* control : {&first, &second}) check_progress(*control, tiny);
  expect(std::equal(whole.pairs.begin(), whole.pairs.end(), tiles.pairs.begin(),
                    [](float a, float b) { return std::abs(a - b) <= 2e-3f * (a + 1e-3f); }),
         tiny.name + ": tiles do not matter");
}

}  // namespace

void scoring(Backend& backend, const TinyModel& tiny) {
  const Model& model = *tiny.model;
  for (const ScoreMethod method : {ScoreMethod::kKvzip, ScoreMethod::kKvzipPlus}) {
    sweep(backend, tiny, FullSweep{}, FullSweep{}, method);
    sweep(backend, tiny, ChunkSweep{}, ChunkSweep{}, method);
    sweep(backend, tiny, BlockSweep{}, BlockPart{}, method);
  }
  JobControl control;
  const MeansResult means = run_means(backend, model, {.text = some_ids(70, model.spec.vocab, 5), .ropes = {}}, control);
  expect(all_finite(means.queries) && all_finite(means.keys) && !means.keys.empty(), tiny.name + ": means are numbers");
  // A cache whose sliding layers forgot is none to score against.
  const bool slides = std::any_of(model.spec.layers.begin(), model.spec.layers.end(),
                                  [](const LayerSpec& l) { return l.attention.window > 0; });
  if (slides) return;
  const Text text = text_of(model, kContext);
  const auto cache = prefilled(backend, model, {text, KeepAll{}});
  JobControl second;
  const ScoreChunksParams again{text.prefix, text.context, {chunks_of(model, text), FullSweep{}}};
  expect(all_finite(score_chunks(backend, model, *cache, again, second).pairs), tiny.name + ": a cache is scored");
}

void generation(Backend& backend, const TinyModel& tiny) {
  const Model& model = *tiny.model;
  const auto cache = prefilled(backend, model, {text_of(model, kContext), KeepAll{}});
  const std::vector<Generation> first = answers(backend, model, *cache);
  expect(first.size() == 3 && first[0].ids.size() == kAnswer && alike(first, answers(backend, model, *cache)),
         tiny.name + ": the same answers twice");
  JobControl control;
  const std::vector<float> probabilities =
      log_probs(backend, model, *cache, some_ids(4, model.spec.vocab, 9), some_ids(6, model.spec.vocab, 10), control);
  expect(probabilities.size() == 6 && std::all_of(probabilities.begin(), probabilities.end(), [](float p) { return p <= 0; }),
         tiny.name + ": an answer's probabilities");
  const auto talk = cache->clone();
  for (int turn = 0; turn < 3; ++turn) {
    JobControl each;
    TokenFeed feed;
    const GenerateParams params{some_ids(11, model.spec.vocab, 30), kAnswer, {}, {}};
    const int64_t before = talk->position;
    const Generation said = converse(backend, model, *talk, params, turn == 1, each, feed);
    expect(talk->position == before + 11 + static_cast<int64_t>(said.ids.size()) && feed.take() == said.ids,
           tiny.name + ": a turn stays in the cache");
    if (turn == 1) talk->rewind(before + 5);
  }
}

void eviction(Backend& backend, const TinyModel& tiny) {
  const Model& model = *tiny.model;
  const int64_t heads = model.spec.scored_heads();
  const auto whole = prefilled(backend, model, {text_of(model, kContext), KeepAll{}});
  for (const Window window : {Window{}, Window{4, 16}}) {
    const std::vector<uint8_t> mask = every_other(heads);
    const auto on_the_way = prefilled(backend, model, {text_of(model, kContext), HeadMask{mask, window}}),
               afterwards = whole->clone(), selected = whole->select_heads(mask, window);
    afterwards->retain_heads(mask, window);
    const std::vector<Generation> made = answers(backend, model, *afterwards);
    expect(alike(made, answers(backend, model, *selected)),
           tiny.name + ": evicted in place or gathered, the answers are the same");
    expect(on_the_way->lengths() == afterwards->lengths() && alike(made, answers(backend, model, *on_the_way)),
           tiny.name + ": evicted while it is prefilled, too");
    JobControl control;
    TokenFeed feed;
    converse(backend, model, *afterwards, {some_ids(30, model.spec.vocab, 31), kAnswer, {}, {}}, false, control, feed);
    expect(!answers(backend, model, *afterwards)[0].ids.empty(), tiny.name + ": it goes on after a turn");
  }
  const Text text = text_of(model, kContext);
  const auto uniform = prefilled(backend, model, {text, Scored{{chunks_of(model, text), FullSweep{}}, UniformRule{40, false}}});
  const auto pairs = whole->clone();
  pairs->retain_pairs(every_other(heads * kContext));
  for (const KvCache* each : {uniform.get(), pairs.get()})
    expect(!answers(backend, model, *each)[0].ids.empty() && each->used_bytes() < whole->used_bytes(),
           tiny.name + ": entries are evicted");
}

void save_and_restore(Backend& backend, const TinyModel& tiny) {
  const Model& model = *tiny.model;
  const auto cache = prefilled(backend, model, {text_of(model, kContext), KeepAll{}});
  expect(alike(answers(backend, model, *cache), answers(backend, model, *restored(backend, model, *cache))),
         tiny.name + ": a restored cache answers as before");
  cache->retain_heads(every_other(model.spec.scored_heads()), {4, 16});
  const auto copy = restored(backend, model, *cache);
  expect(copy->evicted && alike(answers(backend, model, *cache), answers(backend, model, *copy)),
         tiny.name + ": a restored evicted cache, too");
}

}  // namespace headzip::test
