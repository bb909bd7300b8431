// Attention of the CUDA backend: calls become tables on the device, cut into tiles, and go to the kernels that fit.
#include <algorithm>
#include <utility>

#include "../../cuda/attention/tensor_map.h"
#include "../error.h"
#include "backend.h"

namespace headzip::cuda {

namespace {

// Where no problem of a batch has as many query rows as this, Hopper tiles would be mostly empty.
constexpr int64_t kFewestHopperRows = 64;

}  // namespace

KvSegment CudaBackend::describe(const headzip::KvSegment& segment, int64_t window) {
  const auto& kv = static_cast<const CudaKvLayer&>(*segment.kv);
  const bool ragged = segment.count < 0 && segment.from_end;
  KvSegment s{};
  s.heads = kv.device_heads();
  s.maps = kv.device_maps();
  s.ends = ragged ? kv.device_lengths() : nullptr;
  s.windows = kv.device_windows();
  s.positions = ragged && window > 0 ? kv.device_positions() : nullptr;
  s.begin = static_cast<int32_t>(segment.begin);
  s.end = static_cast<int32_t>(segment.count < 0 ? kv.length(0) : std::min(kv.length(0), segment.begin + segment.count));
  s.position = static_cast<int32_t>(segment.position);
  s.in_score = segment.in_score;
  s.scored = segment.scored;
  return s;
}

AttentionParams CudaBackend::describe(const AttentionSpec& spec, const headzip::AttentionParams& params) const {
  if (params.segments.size() > kMaxKvSegments) throw Error("an attention call has more KV segments than the engine plans for");
  AttentionParams d{};
  d.q = values(params.q);
  d.out = params.out.data == nullptr ? nullptr : values(params.out);
  d.scores = params.scores;
  d.q_stride = d.out_stride = spec.q_width();
  d.score_stride = params.score_stride;
  d.queries = static_cast<int32_t>(params.q.rows);
  d.position = static_cast<int32_t>(params.position);
  for (const headzip::KvSegment& segment : params.segments) d.segment[d.segments++] = describe(segment, params.window);
  if (runs_hopper(spec.head_dim)) {
    const MappedArray queries{d.q, spec.head_dim, d.queries, d.q_stride, spec.heads, spec.head_dim};
    HEADZIP_CUDA(encode(queries, hopper_attention_tiles(static_cast<int>(spec.head_dim)).rows, &d.q_map));
  }
  return d;
}

void CudaBackend::attention(const AttentionSpec& spec, std::span<const headzip::AttentionParams> batch) {
  if (batch.empty()) return;
  if (decodes(spec, batch)) return launch_decode(spec, batch);
  not_recorded("attention of many rows");
  AttentionShape shape{static_cast<int32_t>(spec.heads),
                       static_cast<int32_t>(spec.kv_heads),
                       static_cast<int32_t>(spec.head_dim),
                       spec.scale,
                       spec.score_scale(),
                       0};
  AttentionShape seen = shape;  // scores know no window; a layer's batch shares one
  seen.window = static_cast<int32_t>(std::min<int64_t>(batch[0].window, 1 << 30));
  int64_t most = 0, rows = 0;
  for (const headzip::AttentionParams& params : batch) {
    most = std::max(most, params.q.rows);
    rows += params.q.rows;
  }
  const bool fast = runs_hopper(spec.head_dim) && most >= kFewestHopperRows;
  // Where both ask the same of the keys in the score, the forward pass leaves the score its log-sum-exp.
  const bool leaves_lse = fast && seen.window == 0 && shape.scale == shape.score_scale;
  if (const size_t bytes = leaves_lse ? static_cast<size_t>(spec.heads * rows) * sizeof(float) : 0; lse_.bytes() < bytes) {
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    lse_ = DeviceMemory();
    lse_ = DeviceMemory(meter_, bytes, "log-sum-exps of attention");
  }
  std::vector<AttentionParams> scored, forward;
  float* next = lse_.as<float>();
  for (const headzip::AttentionParams& params : batch) {
    AttentionParams described = describe(spec, params);
    if (leaves_lse && params.scores != nullptr && params.out.data != nullptr)
      described.lse = std::exchange(next, next + spec.heads * params.q.rows);
    if (params.scores != nullptr) scored.push_back(described);
    if (params.out.data == nullptr) continue;
    forward.push_back(described);
    merge_segments(forward.back());
  }
  if (fast) launch_hopper(shape, seen, scored, forward);
  else launch_portable(shape, seen, scored, forward);
}

void CudaBackend::launch_hopper(const AttentionShape& shape, const AttentionShape& seen,
                                const std::vector<AttentionParams>& scored, const std::vector<AttentionParams>& forward) {
  const std::vector<Tile> score_tiles = tiles_of(scored, hopper_score_tiles(shape.head_dim).rows, 1);
  const Schedule schedule = schedule_of(forward, shape.head_dim);
  const int cluster = cluster_ != 0 ? cluster_ : schedule.cluster;
  const std::vector<Tile> tiles = tiles_of(forward, hopper_attention_tiles(shape.head_dim).rows * cluster, 1);
  AttentionShape ordered = seen;
  ordered.by_kv_head = schedule.by_kv_head;
  Image image;
  const size_t scored_at = image.add(scored), forward_at = image.add(forward), score_tiles_at = image.add(score_tiles),
               tiles_at = image.add(tiles);
  upload(image);
  if (!tiles.empty()) {
    const Timeline::Span span(timeline_, "attention");
    HEADZIP_CUDA(hopper_attention(planned<AttentionParams>(forward_at), planned<Tile>(tiles_at), static_cast<int>(tiles.size()),
                                  ordered, cluster, sm_count_, stream_));
  }
  if (score_tiles.empty()) return;
  const Timeline::Span span(timeline_, "score");
  HEADZIP_CUDA(hopper_score(planned<AttentionParams>(scored_at), planned<Tile>(score_tiles_at),
                            static_cast<int>(score_tiles.size()), shape, sm_count_, stream_));
}

void CudaBackend::launch_portable(const AttentionShape& shape, const AttentionShape& seen,
                                  const std::vector<AttentionParams>& scored, const std::vector<AttentionParams>& forward) {
  const int rows = portable_attention_rows(shape.head_dim), group = shape.heads / shape.kv_heads;
  const std::vector<Tile> score_tiles = tiles_of(scored, rows, group), tiles = tiles_of(forward, rows, group);
  Image image;
  const size_t scored_at = image.add(scored), forward_at = image.add(forward), score_tiles_at = image.add(score_tiles),
               tiles_at = image.add(tiles);
  upload(image);
  if (!tiles.empty()) {
    const Timeline::Span span(timeline_, "attention");
    HEADZIP_CUDA(portable_attention(planned<AttentionParams>(forward_at), planned<Tile>(tiles_at),
                                    static_cast<int>(tiles.size()), seen, stream_));
  }
  if (score_tiles.empty()) return;
  const Timeline::Span span(timeline_, "score");
  HEADZIP_CUDA(reconstruction_score(planned<AttentionParams>(scored_at), planned<Tile>(score_tiles_at),
                                    static_cast<int>(score_tiles.size()), shape, stream_));
}

void CudaBackend::upload(const Image& image) {
  if (plan_.bytes() < image.bytes().size()) {
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    plan_ = DeviceMemory();
    plan_ = DeviceMemory(meter_, 2 * image.bytes().size(), "an attention plan");
  }
  HEADZIP_CUDA(cudaMemcpyAsync(plan_.as(), image.bytes().data(), image.bytes().size(), cudaMemcpyHostToDevice, stream_));
}

}  // namespace headzip::cuda
