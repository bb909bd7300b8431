#include "backend.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../error.h"
#include "../weights/dequantize.h"
#include "info.h"

namespace headzip::cuda {

namespace {
constexpr size_t kWorkspace = size_t{64} << 20;

size_t usable_memory(size_t limit) {
  size_t free = 0, total = 0;
  HEADZIP_CUDA(cudaMemGetInfo(&free, &total));
  // The driver and the libraries take some on their own account.
  const size_t most = free > (size_t{512} << 20) ? free - (size_t{512} << 20) : free / 2;
  return limit == 0 ? most : std::min(limit, most);
}
}  // namespace

CudaBackend::CudaBackend(size_t memory_limit, uint64_t random_seed, bool timed)
    : meter_(std::make_shared<DeviceMeter>(usable_memory(memory_limit))), timeline_(stream_, timed),
      weights_(meter_, stream_, random_seed), workspace_(meter_, kWorkspace, "cuBLASLt's workspace"),
      gemm_(std::make_unique<Gemm>(workspace_.as(), kWorkspace)),
      argmax_keys_(meter_, kArgmaxKeys * sizeof(uint64_t), "the keys of an argmax") {
  if (!gemm_->reason().empty()) throw Error(gemm_->reason());
  int device = 0, major = 0, minor = 0;
  HEADZIP_CUDA(cudaGetDevice(&device));
  HEADZIP_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  HEADZIP_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  HEADZIP_CUDA(cudaDeviceGetAttribute(&sm_count_, cudaDevAttrMultiProcessorCount, device));
  hopper_ = major == 9 && minor == 0 && switches_.attention != AttentionKernels::kPortable;
  cluster_ = switches_.attention == AttentionKernels::kSingle ? 1 : switches_.attention == AttentionKernels::kPairs ? 2 : 0;
  *flag_.as<int32_t>() = 0;
  overlap_steps(switches_.overlap);
}

CudaBackend::~CudaBackend() { cudaStreamSynchronize(stream_); }

OwnedRows CudaBackend::allocate(int64_t count, int64_t width, Element element) {
  auto memory =
      std::make_unique<DeviceMemory>(meter_, static_cast<size_t>(count * width) * bytes_of(element), "a buffer of activations");
  OwnedRows out;
  static_cast<Rows&>(out) = Rows{memory->as<std::byte>(), count, width, element};
  out.memory = std::move(memory);
  return out;
}

std::unique_ptr<KvLayer> CudaBackend::kv(int64_t kv_heads, int64_t head_dim, int64_t capacity) {
  KeyBoxes boxes;
  if (runs_hopper(head_dim))
    boxes = {hopper_attention_tiles(static_cast<int>(head_dim)).keys, hopper_score_tiles(static_cast<int>(head_dim)).keys};
  return std::make_unique<CudaKvLayer>(meter_, stream_, kv_heads, head_dim, capacity, boxes);
}

ScoreBuffer CudaBackend::scores(int64_t kv_heads, int64_t positions) {
  auto memory =
      std::make_unique<DeviceMemory>(meter_, static_cast<size_t>(kv_heads * positions) * sizeof(float), "a layer's scores");
  auto* data = memory->as<float>();
  return {data, kv_heads, positions, std::move(memory)};
}

void CudaBackend::clear(const ScoreBuffer& s) {
  const Timeline::Span span(timeline_, "memory");
  HEADZIP_CUDA(cudaMemsetAsync(s.data, 0, static_cast<size_t>(s.kv_heads * s.positions) * sizeof(float), stream_));
}

void CudaBackend::download(const ScoreBuffer& s, float* out) {
  const Timeline::Span span(timeline_, "memory");
  HEADZIP_CUDA(cudaMemcpyAsync(out, s.data, static_cast<size_t>(s.kv_heads * s.positions) * sizeof(float),
                               cudaMemcpyDeviceToHost, stream_));
}

void CudaBackend::begin(const Model& model, size_t working_bytes) {
  weights_.plan(model, working_bytes);
  // A job that threw left its work under way, and what that met is not this one's.
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
  *flag_.as<volatile int32_t>() = 0;
  std::erase_if(rotary_tables_, [](const RotaryTable& t) { return !t.used; });
  for (RotaryTable& t : rotary_tables_) t.used = false;
}

void CudaBackend::enter_layer(const Model& model, int64_t layer) { weights_.enter(model, layer); }

int64_t CudaBackend::tile_rows(const ModelSpec& spec) const {
  // Rows enough for the GEMMs and for a dozen waves of attention tiles, within an eighth of the memory allowed.
  const Widths w = spec.widths();
  const int64_t width = 2 * w.mlp + 2 * (w.q + w.kv) + spec.hidden;
  const auto most = static_cast<int64_t>(meter_->limit() / 8) / (width * 2);
  return std::clamp<int64_t>(most / 1024 * 1024, 1024, 16384);
}

void CudaBackend::embed_rows(const Weight& table, std::span<const int32_t> ids, float scale, Rows out) {
  const Timeline::Span span(timeline_, "embed");
  if (weights_.streamed()) embed_from_host(table, ids, out);
  else embed_on_device(table, ids, out);
  if (scale != 1) HEADZIP_CUDA(cuda::scale(stored(out), out.rows * out.width, scale, stream_));
}

void CudaBackend::embed_on_device(const Weight& table, std::span<const int32_t> ids, Rows out) {
  if (ids.size() <= kFewIds) {
    HEADZIP_CUDA(cudaEventSynchronize(ids_read_));
    std::copy(ids.begin(), ids.end(), few_ids_.as<int32_t>());
    HEADZIP_CUDA(cuda::embed(weights_.get(table), few_ids_.as<int32_t>(), static_cast<int64_t>(ids.size()), out.width,
                             stored(out), stream_));
    HEADZIP_CUDA(cudaEventRecord(ids_read_, stream_));
    return;
  }
  const DeviceMemory list(meter_, ids.size() * sizeof(int32_t), "token ids");
  HEADZIP_CUDA(cudaMemcpyAsync(list.as(), ids.data(), ids.size() * sizeof(int32_t), cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(
      cuda::embed(weights_.get(table), list.as<int32_t>(), static_cast<int64_t>(ids.size()), out.width, stored(out), stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the list is freed
}

// A table that is used once a job is not worth memory on the GPU when weights are streamed.
void CudaBackend::embed_from_host(const Weight& table, std::span<const int32_t> ids, Rows out) {
  // Quantised rows are dequantised here: the GPU knows plain numbers only.
  const bool wide = quantised(table.type);
  const auto stored_row = static_cast<size_t>(bytes_of(table.type, table.cols));
  const size_t row = wide ? static_cast<size_t>(table.cols) * sizeof(float) : stored_row;
  const size_t step = std::max<size_t>(1, (size_t{16} << 20) / row);
  std::vector<std::byte> gathered(std::min(step, ids.size()) * row);
  const DeviceMemory table_rows(meter_, gathered.size(), "embedding rows");
  for (size_t at = 0; at < ids.size(); at += step) {
    const size_t count = std::min(step, ids.size() - at);
    for (size_t i = 0; i < count; ++i) {
      const std::byte* from = table.data + static_cast<size_t>(ids[at + i]) * stored_row;
      std::byte* to = gathered.data() + i * row;
      if (wide) dequantize(table, ids[at + i] * table.cols, table.cols, reinterpret_cast<float*>(to));
      else std::memcpy(to, from, row);
    }
    HEADZIP_CUDA(cudaMemcpyAsync(table_rows.as(), gathered.data(), count * row, cudaMemcpyHostToDevice, stream_));
    HEADZIP_CUDA(convert(table_rows.as(), static_cast<int>(wide ? StoredType::kF32 : table.type),
                         static_cast<int64_t>(count) * table.cols,
                         stored(out.slice(static_cast<int64_t>(at), static_cast<int64_t>(count))), stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
  }
}

void CudaBackend::rms_norm(Rows x, const Weight& weight, const NormParams& params, Rows out) {
  const Timeline::Span span(timeline_, "norm");
  HEADZIP_CUDA(cuda::rms_norm(stored(x), weights_.get(weight), params.eps, params.offset, params.add, x.rows, x.width,
                              stored(out), flag_.as<int32_t>(), work_));
}

void CudaBackend::linear(Rows x, std::span<const LinearParams> batch) {
  const Timeline::Span timed(timeline_, "gemm");
  if (few(x)) return few_rows_linear(x, batch);
  for (const LinearParams& params : batch) {
    const Values out = stored(params.out);
    const bf16* bias = params.bias != nullptr && *params.bias ? weights_.get(*params.bias) : nullptr;
    const bool within = bias != nullptr && !params.add && !out.wide;  // the GEMM adds it before it rounds
    const std::string why = gemm_->run({values(x), weights_.get(*params.weight), within ? bias : nullptr, out, x.rows,
                                        params.weight->rows, params.weight->cols, params.add},
                                       work_);
    if (!why.empty()) throw Error(why);
    if (bias != nullptr && !within) HEADZIP_CUDA(add_bias(out, bias, x.rows, params.weight->rows, work_));
  }
}

const float* CudaBackend::frequencies(const RopeRef& rope) {
  auto at = std::find_if(rotary_tables_.begin(), rotary_tables_.end(), [&](const RotaryTable& t) { return t.rope == rope; });
  if (at == rotary_tables_.end()) {
    const size_t bytes = rope->inv_freq.size() * sizeof(float);
    at = rotary_tables_.insert(rotary_tables_.end(), RotaryTable{rope, DeviceMemory(meter_, bytes, "rope frequencies"), true});
    HEADZIP_CUDA(cudaMemcpyAsync(at->inv_freq.as(), rope->inv_freq.data(), bytes, cudaMemcpyHostToDevice, stream_));
  }
  at->used = true;
  return at->inv_freq.as<float>();
}

void CudaBackend::rope(Rows x, int64_t heads, const RopeRef& rope, int64_t position) {
  const Timeline::Span span(timeline_, "rope");
  HEADZIP_CUDA(cuda::rope(values(x), x.rows, heads, x.width / heads, static_cast<int64_t>(rope->inv_freq.size()), position,
                          frequencies(rope), rope->scale, rope->adjacent, flag_.as<int32_t>(), work_));
}

void CudaBackend::append(KvLayer& kv, Rows k, Rows v) {
  const Timeline::Span span(timeline_, "append");
  not_recorded("appending to a cache");
  auto& layer = static_cast<CudaKvLayer&>(kv);
  layer.reserve(k.rows);
  HEADZIP_CUDA(append_kv(values(k), v.data == nullptr ? nullptr : values(v), k.rows, layer.heads(), k.width / layer.heads(),
                         layer.device_heads(), layer.device_lengths(), 0, stream_));
  layer.grow(k.rows);
}

void CudaBackend::act_and_mul(Activation activation, Rows gate, Rows up) {
  const Timeline::Span span(timeline_, "gate");
  const auto mul = activation == Activation::kSilu ? cuda::silu_mul : cuda::gelu_tanh_mul;
  HEADZIP_CUDA(mul(values(gate), values(up), gate.rows * gate.width, work_));
}

void CudaBackend::gather(Rows x, std::span<const int32_t> index, Rows out) {
  const DeviceMemory list(meter_, index.size_bytes(), "rows of an expert");
  HEADZIP_CUDA(cudaMemcpyAsync(list.as(), index.data(), index.size_bytes(), cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(gather_rows(values(x), list.as<int32_t>(), static_cast<int64_t>(index.size()), x.width, values(out), stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the list is freed
}

void CudaBackend::scatter_add(Rows x, std::span<const int32_t> index, std::span<const float> weight, Rows out) {
  const DeviceMemory list(meter_, index.size_bytes() + weight.size_bytes(), "rows of an expert");
  auto* weights = reinterpret_cast<float*>(list.as<std::byte>() + index.size_bytes());
  HEADZIP_CUDA(cudaMemcpyAsync(list.as(), index.data(), index.size_bytes(), cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(cudaMemcpyAsync(weights, weight.data(), weight.size_bytes(), cudaMemcpyHostToDevice, stream_));
  HEADZIP_CUDA(scatter_add_rows(values(x), list.as<int32_t>(), weights, static_cast<int64_t>(index.size()), x.width,
                                stored(out), stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));  // before the list is freed
}

void CudaBackend::download(Rows x, float* out) {
  const int64_t count = x.rows * x.width;
  if (stored(x).wide) {
    HEADZIP_CUDA(cudaMemcpyAsync(out, x.data, static_cast<size_t>(count) * sizeof(float), cudaMemcpyDeviceToHost, stream_));
    HEADZIP_CUDA(cudaStreamSynchronize(stream_));
    return;
  }
  const DeviceMemory wide(meter_, static_cast<size_t>(count) * sizeof(float), "a copy for the host");
  HEADZIP_CUDA(convert(x.data, static_cast<int>(StoredType::kBF16), count, {wide.as(), true}, stream_));
  HEADZIP_CUDA(cudaMemcpyAsync(out, wide.as(), static_cast<size_t>(count) * sizeof(float), cudaMemcpyDeviceToHost, stream_));
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
}

bool CudaBackend::synchronize() {
  HEADZIP_CUDA(cudaStreamSynchronize(stream_));
  timeline_.collect();
  return std::exchange(*flag_.as<volatile int32_t>(), 0) == 0;
}

void CudaBackend::throttle() {
  HEADZIP_CUDA(cudaEventSynchronize(throttle_events_[throttle_at_]));  // of kAhead tiles ago
  HEADZIP_CUDA(cudaEventRecord(throttle_events_[throttle_at_], stream_));
  throttle_at_ = (throttle_at_ + 1) % kAhead;
}

}  // namespace headzip::cuda

namespace headzip {

std::unique_ptr<Backend> make_cuda_backend(size_t memory_limit, uint64_t random_seed, bool timed) {
  const cuda::Info info = cuda::info();
  if (!info.reason.empty()) throw Error(info.reason);
  return std::make_unique<cuda::CudaBackend>(memory_limit, random_seed, timed);
}

}  // namespace headzip
