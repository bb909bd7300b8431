// Attention of the CPU backend: problems are cut into (KV head, block of queries) tasks.
#include <algorithm>
#include <vector>

#include "../error.h"
#include "backend.h"
#include "head_segment.h"
#include "visible.h"

namespace headzip::cpu {

namespace {

// Query rows of a tile, multiples of every strip height. The more there are, the less often keys and values come from
// memory; with scores a tile sets logits aside, which take the L2 cache.
constexpr int64_t kRowsPerTask = 384, kScoredRowsPerTask = 192, kFewestRows = 24;
constexpr int64_t kScratchBytes = int64_t{4} << 20;  // a tile's logits of the scored segment shrink its rows past this

struct Planned {
  const AttentionParams* params;
  int64_t head, first, queries;
  bool out, scores;
};

bool streams(const AttentionParams& params, int64_t head) {
  return std::any_of(params.segments.begin(), params.segments.end(),
                     [&](const KvSegment& s) { return s.kv->window(head).recent > 0; });
}

// What one query at `position` sees of a segment of a streaming head: its sink, entries before `sink_end`, then its
// window, whose entries follow one another.
int64_t streaming_segments(const HeadSegment& all, Window window, int64_t sink_end, int64_t position, HeadSegment* out) {
  HeadSegment sink = all, recent = all;
  sink.end = std::clamp(sink_end, all.begin, all.end);
  recent.begin = std::max(sink.end, Visible{all, window.recent}.low(position));
  recent.position += recent.begin - all.begin;
  out[0] = sink;
  out[1] = recent;
  return 2;
}

}  // namespace

void CpuBackend::attention(const AttentionSpec& spec, std::span<const AttentionParams> batch) {
  if (decodes(batch)) return decode_attention(spec, batch.front());
  const int64_t group = spec.group();
  std::vector<Planned> plan;
  int64_t scratch_bytes = 0, rest = 0;  // rows of the problems that follow
  for (const AttentionParams& params : batch) rest += params.q.rows;
  for (const AttentionParams& params : batch) {
    rest -= params.q.rows;
    if (params.segments.size() > kMaxKvSegments)
      throw Error("an attention call has more KV segments than the engine plans for");
    int64_t scored = 0;
    for (const KvSegment& segment : params.segments)
      if (segment.scored) scored = std::max(scored, head_segment(segment, 0).end - segment.begin);
    int64_t queries = std::max<int64_t>(1, (scored > 0 ? kScoredRowsPerTask : kRowsPerTask) / group);
    while (queries > 1 && k_.attention_scratch(queries * group, spec.head_dim, scored) > kScratchBytes) queries /= 2;
    queries = std::min(queries, params.q.rows);
    scratch_bytes = std::max(scratch_bytes, k_.attention_scratch(queries * group, spec.head_dim, scored));
    // Later queries see more keys: the longest tasks go first, and from where few are left for each thread they are
    // halved, so that the threads end together. A streaming head's queries see different keys: one task each, of few keys.
    const bool out = params.out.data != nullptr, scores = params.scores != nullptr;
    for (int64_t end = params.q.rows, at; end > 0; end = at) {
      while (queries * group > kFewestRows && queries * 4 * threads_ > (end + rest) * spec.kv_heads) queries /= 2;
      at = std::max<int64_t>(0, end - queries);
      for (int64_t head = 0; head < spec.kv_heads; ++head) {
        const int64_t rows = end - at, step = streams(params, head) ? 1 : rows;
        // Scores know no window: under one they are a task of their own.
        const bool apart = params.window > 0 && out && scores;
        for (int64_t row = 0; row < rows; row += step) {
          plan.push_back({&params, head, at + row, step, out, scores && !apart});
          if (apart) plan.push_back({&params, head, at + row, step, false, true});
        }
      }
    }
  }
  const int64_t each = (scratch_bytes + 4095) / 4096 * 1024;  // floats, whole pages
  float* memory = scratch(attention_scratch_, each * threads_);

  parallel(static_cast<int64_t>(plan.size()), [&](int64_t i, int thread) {
    const Planned& p = plan[i];
    const AttentionParams& params = *p.params;
    HeadSegment segments[2 * kMaxKvSegments];
    int64_t count = 0, value_stride = 0;
    for (const KvSegment& segment : params.segments) {
      const auto& kv = static_cast<const CpuKvLayer&>(*segment.kv);
      value_stride = kv.value_stride();
      HeadSegment view = head_segment(segment, p.head);
      view.scored = view.scored && p.scores;
      if (params.window > 0 && segment.from_end) by_appended_positions(view, kv.index(), p.head);
      const Window window = kv.window(p.head);
      if (window.recent == 0) segments[count++] = view;
      else {
        const int64_t sink_end =
            segment.from_end ? kv.index().before(p.head, window.sink) : Visible{view, 0}.high(window.sink - 1);
        count += streaming_segments(view, window, sink_end, params.position + p.first, segments + count);
      }
    }
    const int64_t at = p.head * group * spec.head_dim;
    const bool weighted = p.scores && params.weights.values != nullptr;
    const AttentionTask task{
        .q = floats(params.q, p.first) + at,
        .q_stride = params.q.width,
        .out = p.out ? floats(params.out, p.first) + at : nullptr,
        .out_stride = params.out.width,
        .queries = p.queries,
        .group = group,
        .head_dim = spec.head_dim,
        .value_stride = value_stride,
        .position = params.position + p.first,
        .window = p.scores ? 0 : params.window,
        .scale = spec.scale,
        .score_scale = spec.score_scale(),
        .segments = segments,
        .segment_count = count,
        .scores = p.scores ? params.scores + p.head * params.score_stride : nullptr,
        .value_norms = weighted ? params.weights.values + p.head * group * params.weights.value_stride : nullptr,
        .value_norm_stride = params.weights.value_stride,
        .row_norms = weighted ? params.weights.rows + p.first : nullptr,
    };
    k_.attention(task, memory + thread * each);
  });
}

}  // namespace headzip::cpu
