// The CUDA backend over a few rows: kernels that read their bytes once, and steps that are recorded and played back.
#include <algorithm>

#include "../error.h"
#include "backend.h"
#include "step_graph.h"

namespace headzip::cuda {

namespace {

// Up to so many (query, head of group) rows a KV head, a question's for one, all SMs at the keys gain more than reading
// them again from the L2 cache costs.
constexpr int64_t kMostDecodeRows = 512;
constexpr int64_t kPartRows =
    32;  // of one entry of a launch's batch: longer ones are cut, so that their partial outputs stay small
constexpr int64_t kTailChunk = 256;  // keys of a split of a segment that grows: the same however long it is

bool is_whole(const headzip::KvSegment& s) { return s.begin == 0 && s.count < 0; }

const CudaKvLayer& layer_of(const headzip::KvSegment& s) { return static_cast<const CudaKvLayer&>(*s.kv); }

// Whether what a query sees of these keys is more than the other kernels understand.
bool is_special(const headzip::AttentionParams& params) {
  return std::any_of(params.segments.begin(), params.segments.end(), [&](const headzip::KvSegment& s) {
    const CudaKvLayer& kv = layer_of(s);
    return kv.index().streams() || (params.window > 0 && s.from_end && !kv.index().all_contiguous());
  });
}

bool is_possible(const headzip::AttentionParams& params) {
  return params.scores == nullptr && params.out.data != nullptr && params.segments.size() <= 2 &&
         std::all_of(params.segments.begin(), params.segments.end(),
                     [](const headzip::KvSegment& s) { return is_whole(s) && (s.from_end || layer_of(s).index().uniform()); });
}

}  // namespace

bool CudaBackend::decodes(const AttentionSpec& spec, std::span<const headzip::AttentionParams> batch) const {
  const bool special = std::any_of(batch.begin(), batch.end(), is_special);
  const bool possible = std::all_of(batch.begin(), batch.end(), is_possible);
  if (special && !possible)
    throw Error("the GPU cannot attend to streaming heads, or to heads with gaps under a window, in this way");
  return special || (possible && std::all_of(batch.begin(), batch.end(), [&](const headzip::AttentionParams& params) {
    return params.q.rows * spec.group() <= kMostDecodeRows;
  }));
}

SplitPlan CudaBackend::split_plan(const AttentionSpec& spec, const headzip::KvSegment& segment, bool alone) const {
  const CudaKvLayer& kv = layer_of(segment);
  const auto heads = static_cast<int>(kv.heads());
  if (segment.from_end || alone) {
    std::vector<int32_t> lengths;
    for (int64_t h = 0; h < heads; ++h) lengths.push_back(static_cast<int32_t>(kv.length(h)));
    // A block for every slot of the SMs; a tail has one a head as well.
    const int chunk = decode_chunk(lengths.data(), heads, sm_count_ * blocks_per_sm(spec.head_dim) - heads);
    return {chunk, decode_splits(lengths.data(), heads, chunk)};
  }
  int64_t room = kv.capacity(0);
  for (int64_t h = 1; h < heads; ++h) room = std::min(room, kv.capacity(h));
  return {kTailChunk, static_cast<int32_t>((room + kTailChunk - 1) / kTailChunk) * heads};
}

int CudaBackend::blocks_per_sm(int64_t head_dim) const {
  if (blocks_per_sm_dim_ != head_dim) blocks_per_sm_ = decode_blocks_per_sm(static_cast<int>(head_dim));
  blocks_per_sm_dim_ = head_dim;
  return blocks_per_sm_;
}

void CudaBackend::launch_decode(const AttentionSpec& spec, std::span<const headzip::AttentionParams> batch) {
  const Timeline::Span timed(timeline_, "attention");
  DecodeLaunch launch{};
  launch.shape = {static_cast<int32_t>(spec.heads),
                  static_cast<int32_t>(spec.kv_heads),
                  static_cast<int32_t>(spec.head_dim),
                  spec.scale,
                  spec.score_scale(),
                  static_cast<int32_t>(std::min<int64_t>(batch[0].window, 1 << 30))};
  launch.stride = spec.q_width();
  launch.advance = advance_;
  const auto flush = [&] {
    if (launch.batch == 0) return;
    launch.scratch = scratch(decode_scratch(launch));
    HEADZIP_CUDA(decode_attention(launch, work_));
    launch.batch = 0;
  };
  const int64_t queries = std::max<int64_t>(1, kPartRows / spec.group());
  for (const headzip::AttentionParams& params : batch) {
    DecodeParams whole{};
    whole.segments = static_cast<int32_t>(params.segments.size());
    for (size_t s = 0; s < params.segments.size(); ++s) {
      whole.segment[s] = describe(params.segments[s], params.window);
      whole.plan[s] = split_plan(spec, params.segments[s], params.segments.size() == 1);
    }
    for (int64_t row = 0; row < params.q.rows; row += queries) {
      DecodeParams part = whole;
      part.q = values(params.q.slice(row, 1));
      part.out = values(params.out.slice(row, 1));
      part.queries = static_cast<int32_t>(std::min(queries, params.q.rows - row));
      part.position = static_cast<int32_t>(params.position + row);
      launch.params[launch.batch++] = part;
      if (launch.batch == kMaxDecodeBatch) flush();
    }
  }
  flush();
}

float* CudaBackend::scratch(size_t bytes) {
  if (scratch_.bytes() < bytes) {
    if (advance_ != nullptr) throw Error("a recorded step asked for more memory than the step before it");
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    scratch_ = DeviceMemory();
    scratch_ = DeviceMemory(meter_, bytes, "partial outputs of attention");
  }
  return scratch_.as<float>();
}

bool CudaBackend::few(Rows x) const { return x.rows <= kMostGemvRows && x.width % 8 == 0; }

GemvOutput CudaBackend::few_rows_output(const LinearParams& params) {
  const bf16* bias = params.bias != nullptr && *params.bias ? weights_.get(*params.bias) : nullptr;
  return {weights_.get(*params.weight), bias, stored(params.out), params.weight->rows, params.add};
}

void CudaBackend::few_rows_linear(Rows x, std::span<const LinearParams> batch) {
  for (size_t at = 0; at < batch.size(); at += kMaxGemvOutputs) {
    Gemv g{values(x), static_cast<int32_t>(x.rows), static_cast<int32_t>(x.width), 0, {}, Gate::kNone};
    for (const LinearParams& params : batch.subspan(at, std::min<size_t>(kMaxGemvOutputs, batch.size() - at)))
      g.output[g.outputs++] = few_rows_output(params);
    HEADZIP_CUDA(gemv(g, work_));
  }
}

void CudaBackend::gated_mlp(Activation activation, Rows x, const LinearParams& gate, const LinearParams& up) {
  if (!few(x)) return Backend::gated_mlp(activation, x, gate, up);
  const Timeline::Span timed(timeline_, "gemm");
  Gemv g{values(x),
         static_cast<int32_t>(x.rows),
         static_cast<int32_t>(x.width),
         2,
         {few_rows_output(gate), few_rows_output(up)},
         activation == Activation::kSilu ? Gate::kSilu : Gate::kGeluTanh};
  HEADZIP_CUDA(gemv(g, work_));
}

void CudaBackend::rope_append(KvLayer& kv, Rows q, int64_t heads, Rows k, Rows v, const RopeRef& rope, int64_t position) {
  auto& layer = static_cast<CudaKvLayer&>(kv);
  if (k.rows > kMostGemvRows) return Backend::rope_append(kv, q, heads, k, v, rope, position);
  const Timeline::Span timed(timeline_, "rope");
  layer.reserve(k.rows);
  const bool uniform = layer.index().uniform();
  const auto kv_heads = static_cast<int32_t>(layer.heads());
  HEADZIP_CUDA(cuda::rope_append({q.data == nullptr ? nullptr : values(q), values(k), v.data == nullptr ? nullptr : values(v),
                                  static_cast<int32_t>(k.rows), static_cast<int32_t>(heads), kv_heads,
                                  static_cast<int32_t>(k.width / kv_heads), static_cast<int32_t>(rope->inv_freq.size()),
                                  static_cast<int32_t>(position), frequencies(rope), rope->scale, rope->adjacent,
                                  layer.device_heads(), uniform ? nullptr : layer.device_lengths(),
                                  static_cast<int32_t>(layer.length(0)), advance_, flag_.as<int32_t>()},
                                 work_));
  if (recorder_ != nullptr) recorder_->appends(layer, k.rows);
  layer.grow(k.rows);
}

std::vector<Argmax> CudaBackend::argmax(Rows x) {
  std::vector<Argmax> out(static_cast<size_t>(x.rows));
  if (!stored(x).wide) throw Error("argmax is of fp32 values only");
  constexpr int64_t kMost = kArgmaxKeys;
  for (int64_t row = 0; row < x.rows; row += kMost) {
    const int64_t count = std::min(kMost, x.rows - row);
    HEADZIP_CUDA(cuda::argmax(reinterpret_cast<const float*>(x.slice(row, count).data), count, x.width,
                              argmax_keys_.as<uint64_t>(), stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(host_keys_.as<uint64_t>(), argmax_keys_.as(), static_cast<size_t>(count) * sizeof(uint64_t),
                                 cudaMemcpyDeviceToHost, stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    for (int64_t i = 0; i < count; ++i) {
      const auto [index, value] = argmax_of(host_keys_.as<uint64_t>()[i]);
      out[static_cast<size_t>(row + i)] = {index, value};
    }
  }
  return out;
}

bool CudaBackend::records() const { return switches_.graph && !weights_.streamed() && !timeline_.on(); }

// The first time a step runs as it is: what it needs is then allocated, and nothing is allocated or copied while the
// second one is recorded.
void CudaBackend::replay(std::unique_ptr<Recording>& recording, const std::function<void()>& step) {
  if (!records()) return step();
  auto* known = static_cast<StepGraph*>(recording.get());
  if (known != nullptr && known->fits(scratch_.as())) return known->play(stream_);
  if (known == nullptr || known->recorded()) {
    recording = std::make_unique<StepGraph>(meter_);
    return step();
  }
  HEADZIP_CUDA(cudaMemsetAsync(known->counter(), 0, sizeof(int32_t), stream_));
  known->begin(recording_stream_, scratch_.as());
  struct Recorder {
    CudaBackend& backend;
    ~Recorder() { backend.recorder_ = nullptr, backend.advance_ = nullptr, backend.work_ = backend.stream_; }
  };
  try {
    const Recorder ends{*this};
    recorder_ = known;
    advance_ = known->counter();
    work_ = recording_stream_;
    step();
    HEADZIP_CUDA(advance(known->counter(), work_));
  } catch (...) {
    known->abandon(recording_stream_);
    throw;
  }
  known->finish(recording_stream_);
  known->launch(stream_);
}

void CudaBackend::not_recorded(const char* what) const {
  if (recorder_ != nullptr) throw Error(std::string(what) + " cannot be recorded");
}

size_t CudaBackend::device_bytes() const {
  size_t free = 0, total = 0;
  HEADZIP_CUDA(cudaMemGetInfo(&free, &total));
  return total - free;
}

double CudaBackend::copy_rate() {
  size_t bytes = size_t{1} << 30;
  while (bytes > (size_t{1} << 24) && meter_->now() + 2 * bytes > meter_->limit()) bytes /= 2;
  const DeviceMemory from(meter_, bytes, "what is copied"), to(meter_, bytes, "a copy");
  HEADZIP_CUDA(cudaMemsetAsync(from.as(), 1, bytes, stream_));
  TimedEvent begin, end;
  std::vector<float> milliseconds(9);
  for (float& each : milliseconds) {
    HEADZIP_CUDA(cudaEventRecord(begin, stream_));
    HEADZIP_CUDA(cudaMemcpyAsync(to.as(), from.as(), bytes, cudaMemcpyDeviceToDevice, stream_));
    HEADZIP_CUDA(cudaEventRecord(end, stream_));
    HEADZIP_CUDA(cudaEventSynchronize(end));
    HEADZIP_CUDA(cudaEventElapsedTime(&each, begin, end));
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  return 2.0 * static_cast<double>(bytes) / (milliseconds[milliseconds.size() / 2] * 1e-3);
}

}  // namespace headzip::cuda
