// Buffers, what they weigh, and the calls between operations.
#include "group.h"

namespace headzip::parity {

namespace {

void score_buffers(Rig& rig) {
  Group group("scores, clear");
  const ScoreBuffer scores = rig.backend.scores(3, 65);
  const auto kv = rig.kv(3, 16, 65);
  const AttentionSpec spec{.heads = 3, .kv_heads = 3, .head_dim = 16, .scale = 0.25f};
  const OwnedRows q = rig.rows(rig.random(17 * 48), 17);
  const KvSegment segments[] = {{kv.get(), 0, 65, 0, false, true, true}};
  rig.backend.clear(scores);
  const AttentionParams params{
      .q = q, .position = 65, .segments = segments, .out = {}, .scores = scores.data, .score_stride = 65};
  rig.backend.attention(spec, {&params, 1});
  bool raised = true;
  for (const float each : rig.values(scores)) raised &= each > 0;
  group.expect(raised, "every key of the segment has a score");
  rig.backend.clear(scores);
  group.same("cleared scores are zero", rig.values(scores), std::vector<float>(3 * 65, 0.0f));
}

}  // namespace

void memory_cases(Rig& rig) {
  score_buffers(rig);
  Group group("memory and calls between operations");
  Backend& b = rig.backend;
  group.expect(*b.name() != '\0', "it has a name");
  const size_t before = b.allocated_bytes();
  {
    const OwnedRows rows = b.rows(65, 1000), stream = b.stream(65, 1000);
    group.expect(rows.rows == 65 && rows.width == 1000 && rows.element == b.element() && stream.element == b.stream_element(),
                 "rows are as asked for");
    group.expect(rows.row_bytes() == 1000 * bytes_of(b.element()), "rows lie without gaps");
    const size_t least = 65 * 1000 * (bytes_of(b.element()) + bytes_of(b.stream_element()));
    group.expect(b.allocated_bytes() >= before + least && b.peak_bytes() >= before + least, "what is held is counted");
  }
  group.expect(b.allocated_bytes() == before, "what is given back is counted off");
  {
    const auto kv = b.kv(2, 64, 1000);
    const size_t bytes = kv->allocated_bytes();
    group.expect(bytes >= 2 * 1000 * kv->format().entry_bytes() && b.allocated_bytes() >= before + bytes,
                 "a layer's bytes are the backend's");
    group.expect(kv->format().k == b.element() && kv->format().head_dim == 64 && kv->used_bytes() == 0,
                 "keys are of the backend's type");
  }
  group.expect(b.peak_bytes() > before, "the peak stays");
  b.reset_peak();
  group.expect(b.peak_bytes() == b.allocated_bytes() && b.allocated_bytes() == before, "until it is reset");

  Model model;
  model.spec.hidden = 64, model.spec.vocab = 100, model.spec.max_positions = 1000;
  model.spec.layers.resize(2);
  for (LayerSpec& layer : model.spec.layers)
    layer = {{.heads = 4, .kv_heads = 2, .head_dim = 16, .scale = 0.25f}, DenseSpec{128}, true};
  b.check_supported(model.spec);
  group.expect(b.tile_rows(model.spec) >= 64, "a tile holds rows enough to pay for its weights");
  // Tables that the last jobs did not use are dropped: a rope still rotates as before.
  const auto rope = std::make_shared<Rope>(Rope{{1, 0.5f, 0.25f, 0.125f, 0.0625f, 0.03f, 0.02f, 0.01f}});
  const auto rotated = [&] {
    const OwnedRows x = rig.rows(std::vector<float>(3 * 16, 1.0f), 3);
    b.rope(x, 1, rope, 500);
    return rig.values(x);
  };
  const std::vector<float> first = rotated();
  for (int job = 0; job < 3; ++job) b.begin(model, 1 << 20);
  group.same("a rope after other jobs", rotated(), first);
  b.throttle();
  group.expect(b.synchronize(), "nothing that is no number was met");
  for (const KernelTime& each : b.kernel_times()) group.expect(each.seconds >= 0 && each.spans > 0, each.kind + " took time");
}

}  // namespace headzip::parity
