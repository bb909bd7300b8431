// attention() of many rows: every head_dim, group and number of rows; several segments; scores beside it.
#include <optional>

#include "attention_reference.h"

namespace headzip::parity {

namespace {

constexpr int64_t kHeadDims[] = {16, 64, 80, 96, 128, 256}, kGroups[] = {1, 3, 4, 7, 8}, kRows[] = {1, 3, 17, 65};

std::string named(const Call& call) {
  return std::to_string(call.rows) + " rows, " + std::to_string(call.spec.head_dim) + " wide, " +
         std::to_string(call.spec.heads) + " heads of " + std::to_string(call.spec.kv_heads);
}

AttentionSpec make_spec(int64_t kv_heads, int64_t group, int64_t head_dim, float scale = 0) {
  AttentionSpec spec{.heads = kv_heads * group, .kv_heads = kv_heads, .head_dim = head_dim};
  spec.scale = scale != 0 ? scale : spec.score_scale();
  return spec;
}

// Entries of a head that an eviction leaves: the first and last, of those between about half.
std::vector<int64_t> some_of(Rig& rig, int64_t entries) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < entries; ++i)
    if (i < 2 || i + 2 >= entries || rig.below(2) == 0) kept.push_back(i);
  return kept;
}

void evict_some(Rig& rig, KvLayer& kv) {
  for (int64_t h = 0; h < kv.heads(); h += 2) kv.retain(h, some_of(rig, kv.length(h)));
}

}  // namespace

void attention_cases(Rig& rig) {
  Group prefill("attention, a context's own rows"), cached("attention, an evicted cache and a tail"),
      batches("attention, several at once");
  for (const int64_t head_dim : kHeadDims)
    for (const int64_t group : kGroups)
      for (const int64_t rows : kRows) {
        const AttentionSpec spec = make_spec(2, group, head_dim);
        // Past one block of keys for some of them.
        const int64_t before = rows == 3 ? 300 : rows == 17 ? 31 : 5;
        const auto kv = rig.kv(2, head_dim, before + rows);
        Call call{.spec = spec, .rows = rows, .position = before, .segments = {{kv.get(), 0, before + rows, 0}}};
        run(rig, prefill, named(call), {call});
        evict_some(rig, *kv);
        const auto tail = rig.kv(2, head_dim, 4 + rows);
        const int64_t position = before + rows;
        call = {.spec = spec,
                .rows = rows,
                .position = position + 4,
                .segments = {{kv.get(), 0, -1, position - 1, true}, {tail.get(), 0, -1, position}}};
        run(rig, cached, named(call), {call});
      }
  for (const int64_t head_dim : {64, 80, 128}) {
    const AttentionSpec spec = make_spec(3, 4, head_dim);
    const auto kv = rig.kv(3, head_dim, 700), first = rig.kv(3, head_dim, 65), second = rig.kv(3, head_dim, 17);
    const std::vector<Call> batch{
        {.spec = spec, .rows = 65, .position = 635, .segments = {{kv.get(), 0, 7, 0}, {kv.get(), 100, 600, 100}}},
        {.spec = spec,
         .rows = 65,
         .position = 700,
         .segments = {{kv.get(), 0, 7, 0}, {kv.get(), 7, 293, 7}, {kv.get(), 300, 400, 300}, {first.get(), 0, -1, 700}}},
        {.spec = spec, .rows = 17, .position = 700, .segments = {{kv.get(), 0, 1, 0}, {second.get(), 0, -1, 700}}}};
    run(rig, batches, std::to_string(head_dim) + " wide", batch);
  }
}

void window_cases(Rig& rig) {
  Group sliding("attention under a window"), gaps("attention under a window, with gaps"),
      streaming("attention of streaming heads");
  for (const int64_t head_dim : {16, 80, 128, 256})
    for (const int64_t group : {1, 3, 8})
      for (const int64_t rows : kRows)
        for (const int64_t window : {1, 20, 270}) {
          const AttentionSpec spec = make_spec(2, group, head_dim, 0.3f);
          const int64_t before = 290, position = before + rows;
          const auto kv = rig.kv(2, head_dim, position);
          Call call{.spec = spec, .rows = rows, .position = before, .window = window, .segments = {{kv.get(), 0, position, 0}}};
          run(rig, sliding, named(call) + ", window " + std::to_string(window), {call});
          if (group == 3) continue;
          // A sliding layer may lose entries, too; those that are left stand where they were appended.
          const auto tail = rig.kv(2, head_dim, rows);
          call = {.spec = spec,
                  .rows = rows,
                  .position = position,
                  .segments = {{kv.get(), 0, -1, position - 1, true}, {tail.get(), 0, -1, position}}};
          call.window = window;
          evict_some(rig, *kv);
          run(rig, gaps, named(call) + ", window " + std::to_string(window), {call});
          if (window == 1) continue;
          // One head streams, the other sees all; the tail is under the window, too.
          const auto full = rig.kv(2, head_dim, position);
          full->set_window(0, {4, window}), tail->set_window(0, {4, window});
          std::vector<int64_t> kept;
          for (int64_t i = 0; i < position; ++i)
            if (i < 4 || i >= position - window) kept.push_back(i);
          full->retain(0, kept);
          call.segments[0].kv = full.get(), call.window = 0;
          run(rig, streaming, named(call) + ", recent " + std::to_string(window), {call});
        }
}

// As a sweep scores: the prefix and the input's own keys take part in the score's softmax, the context's chunk receives
// scores, what lies around it is seen by the output alone.
void score_cases(Rig& rig) {
  Group plain("attention with scores"), scores_only("scores alone"), under_window("scores beside a window");
  std::optional<Group> weighted;
  if (rig.backend.weighs_scores()) weighted.emplace("weighted scores");
  for (const int64_t head_dim : kHeadDims)
    for (const int64_t group : kGroups)
      for (const int64_t rows : kRows) {
        const int64_t prefix = 3, start = 21, chunk = rows == 17 && head_dim <= 128 ? 300 : 50, end = start + chunk,
                      context = end + 13;
        const bool other_scale = group == 4;  // of the model, beside the score's own
        const AttentionSpec spec = make_spec(2, group, head_dim, other_scale ? 0.31f : 0);
        const auto kv = rig.kv(2, head_dim, context), own = rig.kv(2, head_dim, rows);
        Call call{.spec = spec, .rows = rows, .position = context, .scores = true};
        call.segments = {{kv.get(), 0, prefix, 0, false, true},
                         {kv.get(), prefix, start - prefix, prefix},
                         {kv.get(), start, chunk, start, false, true, true},
                         {kv.get(), end, context - end, end},
                         {own.get(), 0, -1, context, false, true}};
        run(rig, plain, named(call), {call});
        if (group != 4) {
          Call alone = call;
          alone.out = false;
          run(rig, scores_only, named(call), {alone});
        }
        if (group == 3 || group == 8) {
          Call sliding = call;
          sliding.window = 40;
          run(rig, under_window, named(call), {sliding});
        }
        if (!weighted || group == 3 || group == 7) continue;
        call.weighted = true;
        run(rig, *weighted, named(call), {call});
      }
  // A repeat input beside another of the same tile.
  for (const int64_t head_dim : {64, 128}) {
    const AttentionSpec spec = make_spec(2, 4, head_dim);
    const auto kv = rig.kv(2, head_dim, 200), first = rig.kv(2, head_dim, 65), second = rig.kv(2, head_dim, 90);
    const auto call = [&](int64_t start, const std::unique_ptr<KvLayer>& own) {
      return Call{.spec = spec,
                  .rows = own->length(0),
                  .position = 200,
                  .segments = {{kv.get(), 0, 4, 0, false, true},
                               {kv.get(), start, 90, start, false, true, true},
                               {own.get(), 0, -1, 200, false, true}},
                  .scores = true};
    };
    run(rig, plain, "two inputs, " + std::to_string(head_dim) + " wide", {call(4, first), call(94, second)});
  }
}

}  // namespace headzip::parity
