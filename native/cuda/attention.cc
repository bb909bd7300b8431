// Attention of the CUDA backend: jobs become tables on the device, cut into tiles, and go to the kernels that fit.
#include <algorithm>
#include <cstring>

#include "../../cuda/attention/tensor_map.h"
#include "../error.h"
#include "backend.h"

namespace headzip::cuda {

namespace {

// Fewer query rows than this leave a Hopper tile mostly empty.
constexpr int64_t kFewestHopperRows = 64;

// Segments that go on where the one before ends are one to the forward pass, which does not tell scored keys apart.
void join_segments(AttentionJob& job) {
  int32_t kept = 0;
  for (int32_t i = 0; i < job.segments; ++i) {
    const Segment s = job.segment[i];
    if (kept > 0) {
      Segment& before = job.segment[kept - 1];
      if (before.heads == s.heads && before.ends == nullptr && s.ends == nullptr && before.end == s.begin &&
          before.position + (before.end - before.begin) == s.position) {
        before.end = s.end;
        continue;
      }
    }
    job.segment[kept++] = s;
  }
  job.segments = kept;
}

// Keys that the query rows [row, row + rows) meet, roughly: what a tile costs.
int64_t keys_seen(const AttentionJob& job, int64_t row, int64_t rows) {
  const int64_t last = job.position + std::min<int64_t>(row + rows, job.queries) - 1;
  int64_t keys = 0;
  for (int32_t i = 0; i < job.segments; ++i) {
    const Segment& s = job.segment[i];
    keys += std::clamp<int64_t>(last - s.position + 1, 0, s.end - s.begin);
  }
  return keys;
}

// Tiles of `rows` query rows of every job, the costliest first, so that the chip empties evenly.
std::vector<Tile> tiles_of(const std::vector<AttentionJob>& jobs, int64_t rows, int64_t rows_a_query) {
  struct Costed {
    Tile tile;
    int64_t keys;
  };
  std::vector<Costed> all;
  for (size_t j = 0; j < jobs.size(); ++j)
    for (int64_t row = 0; row < jobs[j].queries * rows_a_query; row += rows)
      all.push_back({{static_cast<int32_t>(j), static_cast<int32_t>(row)},
                     keys_seen(jobs[j], row / rows_a_query, (rows + rows_a_query - 1) / rows_a_query)});
  std::stable_sort(all.begin(), all.end(), [](const Costed& a, const Costed& b) { return a.keys > b.keys; });
  std::vector<Tile> tiles;
  for (const Costed& each : all) tiles.push_back(each.tile);
  return tiles;
}

// Tables for the device, one after another in one image, so that one copy brings them there.
class Image {
 public:
  template <typename T>
  size_t add(const std::vector<T>& table) {
    const size_t at = (bytes_.size() + alignof(T) - 1) / alignof(T) * alignof(T);
    bytes_.resize(at + table.size() * sizeof(T));
    std::memcpy(bytes_.data() + at, table.data(), table.size() * sizeof(T));
    return at;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

AttentionJob CudaBackend::describe(const ModelSpec& spec, const headzip::AttentionJob& job) const {
  if (job.spans.size() > kMostSegments) throw Error("an attention job has more key spans than the engine plans for");
  AttentionJob d{};
  d.q = values(job.q);
  d.out = job.out.data == nullptr ? nullptr : values(job.out);
  d.scores = job.scores;
  d.q_stride = d.out_stride = spec.heads * spec.head_dim;
  d.score_stride = job.score_stride;
  d.queries = static_cast<int32_t>(job.q.rows);
  d.position = static_cast<int32_t>(job.position);
  for (const KeySpan& span : job.spans) {
    const auto& kv = static_cast<const CudaKvLayer&>(*span.kv);
    Segment& s = d.segment[d.segments++];
    s.heads = kv.device_heads();
    s.maps = kv.device_maps();
    s.ends = span.count < 0 && span.from_end ? kv.device_lengths() : nullptr;
    s.begin = static_cast<int32_t>(span.begin);
    s.end = static_cast<int32_t>(span.count < 0 ? kv.length(0) : std::min(kv.length(0), span.begin + span.count));
    s.position = static_cast<int32_t>(span.position);
    s.in_score = span.in_score;
    s.scored = span.scored;
  }
  if (runs_hopper(spec.head_dim)) {
    const MappedArray queries{d.q, spec.head_dim, d.queries, d.q_stride, spec.heads, spec.head_dim};
    HEADZIP_CUDA(encode(queries, hopper_attention_tiles(static_cast<int>(spec.head_dim)).rows, &d.q_map));
  }
  return d;
}

void CudaBackend::attention(const ModelSpec& spec, std::span<const headzip::AttentionJob> jobs) {
  if (jobs.empty()) return;
  const AttentionShape shape{static_cast<int32_t>(spec.heads), static_cast<int32_t>(spec.kv_heads), static_cast<int32_t>(spec.head_dim),
                             spec.attention_scale, spec.score_scale(), 0, 0};
  AttentionShape seen = shape;  // scores know no window; the jobs of a layer share theirs
  seen.window = static_cast<int32_t>(std::min<int64_t>(jobs[0].window, 1 << 30));
  std::vector<AttentionJob> scored, forward;
  int64_t fewest = jobs[0].q.rows;
  for (const headzip::AttentionJob& job : jobs) {
    const AttentionJob described = describe(spec, job);
    fewest = std::min(fewest, job.q.rows);
    if (job.scores != nullptr) scored.push_back(described);
    if (job.out.data == nullptr) continue;
    forward.push_back(described);
    join_segments(forward.back());
  }
  const bool fast = runs_hopper(spec.head_dim) && fewest >= kFewestHopperRows;
  const int head_dim = shape.head_dim, portable_rows = portable_attention_rows(head_dim);
  const std::vector<Tile> score_tiles = fast ? tiles_of(scored, hopper_score_tiles(head_dim).rows, 1) : tiles_of(scored, portable_rows, spec.group());
  const std::vector<Tile> forward_tiles = fast ? tiles_of(forward, hopper_attention_tiles(head_dim).rows * cluster_, 1)
                                               : tiles_of(forward, portable_rows, spec.group());

  Image image;
  const size_t scored_at = image.add(scored), forward_at = image.add(forward);
  const size_t score_tiles_at = image.add(score_tiles), forward_tiles_at = image.add(forward_tiles);
  if (plan_.bytes() < image.bytes().size()) {
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    plan_ = DeviceMemory();
    plan_ = DeviceMemory(meter_, 2 * image.bytes().size(), "an attention plan");
  }
  HEADZIP_CUDA(cudaMemcpyAsync(plan_.as(), image.bytes().data(), image.bytes().size(), cudaMemcpyHostToDevice, stream_));
  const auto at = [&]<typename T>(size_t offset, const T*) { return reinterpret_cast<const T*>(plan_.as<std::byte>() + offset); };
  const AttentionJob *score_jobs = at(scored_at, scored.data()), *forward_jobs = at(forward_at, forward.data());
  const Tile *score_list = at(score_tiles_at, score_tiles.data()), *forward_list = at(forward_tiles_at, forward_tiles.data());
  const int score_count = static_cast<int>(score_tiles.size()), forward_count = static_cast<int>(forward_tiles.size());
  if (score_count > 0) {
    const Timeline::Span span(timeline_, "score");
    if (fast) HEADZIP_CUDA(hopper_score(score_jobs, score_list, score_count, shape, processors_, stream_));
    else HEADZIP_CUDA(reconstruction_score(score_jobs, score_list, score_count, shape, stream_));
  }
  if (forward_count == 0) return;
  const Timeline::Span span(timeline_, "attention");
  if (fast) HEADZIP_CUDA(hopper_attention(forward_jobs, forward_list, forward_count, seen, cluster_, processors_, stream_));
  else HEADZIP_CUDA(portable_attention(forward_jobs, forward_list, forward_count, seen, stream_));
}

}  // namespace headzip::cuda
