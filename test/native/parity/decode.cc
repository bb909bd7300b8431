// attention() of one row, as decoding has it: keys cut into splits, heads of very different lengths; and replay().
#include "attention_reference.h"

namespace headzip::parity {

namespace {

AttentionSpec make_spec(int64_t kv_heads, int64_t group, int64_t head_dim) {
  AttentionSpec spec{.heads = kv_heads * group, .kv_heads = kv_heads, .head_dim = head_dim};
  spec.scale = spec.score_scale();
  return spec;
}

// Three heads: as they were, a quarter left, almost nothing left.
std::unique_ptr<KvLayer> uneven(Rig& rig, int64_t head_dim, int64_t entries) {
  auto kv = rig.kv(3, head_dim, entries);
  std::vector<int64_t> quarter;
  for (int64_t i = 0; i < entries; i += 4) quarter.push_back(i);
  kv->retain(1, quarter);
  kv->retain(2, std::vector<int64_t>{0});
  return kv;
}

// Steps whose rows and keys go on by one, played back as a decoder does; each against the reference.
void replay_case(Rig& rig, Group& group, int64_t head_dim) {
  const AttentionSpec spec = make_spec(3, 4, head_dim);
  const auto kv = uneven(rig, head_dim, 300);
  const auto tail = rig.backend.kv(3, head_dim, 8);
  const auto rope = std::make_shared<Rope>(Rope{std::vector<float>(static_cast<size_t>(head_dim / 2), 0.01f)});
  const OwnedRows q = rig.backend.rows(1, spec.q_width()), k = rig.backend.rows(1, spec.kv_width()),
                  v = rig.backend.rows(1, spec.kv_width());
  const OwnedRows out = rig.backend.rows(1, spec.q_width());
  std::unique_ptr<Recording> recording;
  for (int64_t token = 0; token < 12; ++token) {
    rig.fill(q, rig.random(spec.q_width())), rig.fill(k, rig.random(spec.kv_width())), rig.fill(v, rig.random(spec.kv_width()));
    tail->reserve(1);
    rig.backend.replay(recording, [&] {
      const int64_t position = 300 + tail->length(0);
      rig.backend.rope_append(*tail, q, spec.heads, k, v, rope, position);
      const KvSegment segments[] = {{kv.get(), 0, -1, 299, true}, {tail.get(), 0, -1, 300}};
      const AttentionParams params{.q = q, .position = position, .segments = segments, .out = out};
      rig.backend.attention(spec, {&params, 1});
    });
    group.expect(tail->length(0) == token + 1, "every step appends one entry");
    Call call{.spec = spec,
              .rows = 1,
              .position = 300 + token,
              .segments = {{kv.get(), 0, -1, 299, true}, {tail.get(), 0, -1, 300}}};
    call.q = rig.values(q);  // as rope_append() left them
    group.compare("token " + std::to_string(token) + ", " + std::to_string(head_dim) + " wide", rig.values(out),
                  expected_output(call, rig.eps));
  }
}

}  // namespace

void decode_cases(Rig& rig) {
  {
    Group alone("attention of one row, one segment"), beside("attention of one row, with a tail"),
        many("attention of one row each");
    for (const int64_t head_dim : {16, 64, 80, 96, 128, 256})
      for (const int64_t group : {1, 3, 4, 7, 8})
        for (const int64_t entries : {1, 31, 1000, 2600}) {
          if (entries == 2600 && group != 4) continue;
          const AttentionSpec spec = make_spec(3, group, head_dim);
          const auto kv = uneven(rig, head_dim, entries), tail = rig.kv(3, head_dim, 3), other = rig.kv(3, head_dim, 6);
          const std::string what =
              std::to_string(head_dim) + " wide, groups of " + std::to_string(group) + ", " + std::to_string(entries) + " keys";
          const KvSegment context{kv.get(), 0, -1, entries - 1, true};
          run(rig, alone, what, {{.spec = spec, .rows = 1, .position = entries + 2, .segments = {context}}});
          const Call call{.spec = spec,
                          .rows = 1,
                          .position = entries + 2,
                          .segments = {context, {tail.get(), 0, -1, entries}}};
          run(rig, beside, what, {call});
          Call second = call;
          second.position = entries + 5, second.segments[1].kv = other.get();
          if (entries <= 31) run(rig, many, what, {call, second, call});
        }
  }
  Group group("replay");
  for (const int64_t head_dim : {64, 80, 128}) replay_case(rig, group, head_dim);
}

}  // namespace headzip::parity
