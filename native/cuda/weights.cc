#include "weights.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../../cuda/launch.h"
#include "../error.h"
#include "../weights/dequantize.h"

namespace headzip::cuda {

namespace {

constexpr size_t aligned(size_t n) { return (n + 255) / 256 * 256; }
size_t device_bytes(const Weight& w) { return aligned(static_cast<size_t>(w.rows * w.cols) * 2); }

size_t layer_bytes(const LayerWeights& layer) {
  size_t bytes = 0;
  for (const Weight* w : weights_of(layer)) bytes += device_bytes(*w);
  return bytes;
}

}  // namespace

std::vector<const Weight*> weights_of(const LayerWeights& l) {
  std::vector<const Weight*> there;
  const auto add = [&](std::initializer_list<const Weight*> list) {
    for (const Weight* w : list)
      if (*w) there.push_back(w);
  };
  const auto add_mlp = [&](const MlpWeights& g) { add({&g.gate, &g.up, &g.down, &g.gate_bias, &g.up_bias, &g.down_bias}); };
  add({&l.attn_norm, &l.q, &l.k, &l.v, &l.o, &l.q_bias, &l.k_bias, &l.v_bias, &l.o_bias, &l.q_norm, &l.k_norm, &l.attn_out_norm,
       &l.mlp_norm, &l.mlp_out_norm, &l.router, &l.shared_router});
  add_mlp(l.mlp);
  for (const MlpWeights& expert : l.experts) add_mlp(expert);
  add_mlp(l.shared);
  return there;
}

WeightStore::WeightStore(std::shared_ptr<DeviceMeter> meter, cudaStream_t compute, uint64_t random_seed)
    : meter_(std::move(meter)), compute_(compute), random_seed_(random_seed),
      dequant_buffer_(meter_, kStage, "a staging buffer") {
  for (void*& stage : stages_) HEADZIP_CUDA(cudaMallocHost(&stage, kStage));
  reader_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    for (;;) {
      signal_.wait(lock, [&] { return reading_ || stopping_; });
      if (stopping_) return;
      lock.unlock();
      std::string failure;
      try {
        load_layer(*wanted_model_, wanted_layer_, slots_[wanted_slot_]);
      } catch (const std::exception& e) {
        failure = e.what();
      }
      lock.lock();
      failure_ = failure;
      reading_ = false;
      signal_.notify_all();
    }
  });
}

WeightStore::~WeightStore() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  signal_.notify_all();
  reader_.join();
  cudaStreamSynchronize(copies_);
  for (void* stage : stages_) cudaFreeHost(stage);
}

void WeightStore::plan(const Model& model, size_t working) {
  if (!resident_.empty()) return;  // already there
  anchor_ = model.embed.data;
  norms_ = {&model.final_norm};
  for (const LayerWeights& layer : model.layers)
    norms_.insert({&layer.attn_norm, &layer.mlp_norm, &layer.q_norm, &layer.k_norm, &layer.attn_out_norm, &layer.mlp_out_norm});
  size_t all = device_bytes(model.embed) + device_bytes(model.final_norm) + device_bytes(model.lm_head), largest = 0;
  for (const LayerWeights& layer : model.layers) {
    all += layer_bytes(layer);
    largest = std::max(largest, layer_bytes(layer));
  }
  const size_t room =
      meter_->limit() - std::min(meter_->limit(), meter_->now() - (slots_[0].memory.bytes() + slots_[1].memory.bytes()));
  streamed_ = all + working > room;
  if (!streamed_) return;
  if (2 * largest + working > room)
    throw Error("the GPU has room for " + std::to_string(room >> 20) + " MiB, but two layers of weights (" +
                std::to_string(2 * largest >> 20) + " MiB) and the work on this context (" + std::to_string(working >> 20) +
                " MiB) need more; raise --gpu-memory or shorten the context");
  for (Slot& slot : slots_)
    if (slot.memory.bytes() < largest) {
      slot.layer = -1;
      slot.memory = DeviceMemory();
      slot.memory = DeviceMemory(meter_, largest, "a layer of weights");
    }
}

void WeightStore::copy_in(const std::byte* from, size_t bytes, void* to, cudaStream_t stream) {
  for (size_t at = 0; at < bytes; at += kStage) {
    const size_t part = std::min(kStage, bytes - at);
    HEADZIP_CUDA(cudaEventSynchronize(stage_free_[stage_]));
    std::memcpy(stages_[stage_], from + at, part);
    HEADZIP_CUDA(cudaMemcpyAsync(static_cast<std::byte*>(to) + at, stages_[stage_], part, cudaMemcpyHostToDevice, stream));
    HEADZIP_CUDA(cudaEventRecord(stage_free_[stage_], stream));
    stage_ ^= 1;
  }
}

const bf16* WeightStore::upload(const Weight& w, std::byte* to, cudaStream_t stream) {
  auto* out = reinterpret_cast<bf16*>(to);
  if (random_seed_ == 0 || streamed_) copy_stored(w, to, stream);
  if (random_seed_ == 0) return out;
  const bool norm = norms_.contains(&w);
  HEADZIP_CUDA(fill_normal(out, w.rows * w.cols, norm ? 1.0f : 0.0f, norm ? 0.0f : 0.02f,
                           random_seed_ + static_cast<uint64_t>(w.data - anchor_), stream));
  return out;
}

void WeightStore::copy_stored(const Weight& w, std::byte* to, cudaStream_t stream) {
  if (quantised(w.type)) return copy_blocks(w, to, stream);
  const auto element = static_cast<size_t>(bytes_of(w.type, 1)), count = static_cast<size_t>(w.rows * w.cols);
  if (w.type == StoredType::kBF16) return copy_in(w.data, count * element, to, stream);
  for (size_t at = 0, step = kStage / element; at < count; at += step) {
    const size_t part = std::min(step, count - at);
    copy_in(w.data + at * element, part * element, dequant_buffer_.as(), stream);
    HEADZIP_CUDA(
        convert(dequant_buffer_.as(), static_cast<int>(w.type), static_cast<int64_t>(part), {to + at * 2, false}, stream));
  }
}

// Quantised weights are dequantised on the host, straight into the pinned buffer.
void WeightStore::copy_blocks(const Weight& w, std::byte* to, cudaStream_t stream) {
  constexpr auto kStep = static_cast<int64_t>(kStage / sizeof(float));
  for (int64_t at = 0, count = w.rows * w.cols; at < count; at += kStep) {
    const int64_t part = std::min(kStep, count - at);
    HEADZIP_CUDA(cudaEventSynchronize(stage_free_[stage_]));
    dequantize(w, at, part, static_cast<float*>(stages_[stage_]));
    HEADZIP_CUDA(cudaMemcpyAsync(dequant_buffer_.as(), stages_[stage_], static_cast<size_t>(part) * sizeof(float),
                                 cudaMemcpyHostToDevice, stream));
    HEADZIP_CUDA(cudaEventRecord(stage_free_[stage_], stream));
    stage_ ^= 1;
    HEADZIP_CUDA(convert(dequant_buffer_.as(), static_cast<int>(StoredType::kF32), part, {to + at * 2, false}, stream));
  }
}

void WeightStore::load_layer(const Model& model, int64_t layer, Slot& slot) {
  if (slot.used) HEADZIP_CUDA(cudaStreamWaitEvent(copies_, slot.released));
  slot.at.clear();
  std::byte* to = slot.memory.as<std::byte>();
  for (const Weight* w : weights_of(model.layers[layer])) {
    slot.at[w] = upload(*w, to, copies_);
    to += device_bytes(*w);
  }
  HEADZIP_CUDA(cudaEventRecord(slot.arrived, copies_));
  slot.layer = layer;
}

void WeightStore::wait_for_reader() {
  std::unique_lock lock(mutex_);
  signal_.wait(lock, [&] { return !reading_; });
  if (!failure_.empty()) throw Error(std::exchange(failure_, {}));
}

void WeightStore::fetch(const Model& model, int64_t layer, Slot& slot) {
  wait_for_reader();
  slot.layer = -1;
  std::lock_guard lock(mutex_);
  wanted_model_ = &model;
  wanted_layer_ = layer;
  wanted_slot_ = static_cast<int>(&slot - slots_);
  reading_ = true;
  signal_.notify_all();
}

void WeightStore::enter(const Model& model, int64_t layer) {
  if (!streamed_ || layer == entered_) {
    entered_ = layer;
    return;
  }
  const auto layers = static_cast<int64_t>(model.layers.size());
  Slot& old = slots_[((entered_ % 2) + 2) % 2];
  if (entered_ >= 0) {
    HEADZIP_CUDA(cudaEventRecord(old.released, compute_));
    old.used = true;
  }
  Slot& now = slots_[layer % 2];
  wait_for_reader();
  if (now.layer != layer) fetch(model, layer, now);
  wait_for_reader();
  HEADZIP_CUDA(cudaStreamWaitEvent(compute_, now.arrived));
  entered_ = layer;
  const int64_t next = (layer + 1) % layers;
  Slot& other = slots_[next % 2];
  if (&other != &now && other.layer != next) fetch(model, next, other);
}

const bf16* WeightStore::get(const Weight& weight) {
  if (streamed_ && entered_ >= 0) {
    const Slot& slot = slots_[entered_ % 2];
    if (const auto at = slot.at.find(&weight); at != slot.at.end()) return at->second;
  }
  auto at = resident_.find(&weight);
  if (at == resident_.end()) {
    wait_for_reader();  // the staging buffers are one thread's at a time
    HEADZIP_CUDA(cudaStreamSynchronize(copies_));
    DeviceMemory memory(meter_, device_bytes(weight), "a weight");
    upload(weight, memory.as<std::byte>(), compute_);
    // Kernels of a decoding step read weights before the work ahead of them is done.
    HEADZIP_CUDA(cudaStreamSynchronize(compute_));
    at = resident_.emplace(&weight, std::move(memory)).first;
  }
  return at->second.as<bf16>();
}

size_t WeightStore::resident_bytes() const {
  size_t bytes = slots_[0].memory.bytes() + slots_[1].memory.bytes();
  for (const auto& [weight, memory] : resident_) bytes += memory.bytes();
  return bytes;
}

}  // namespace headzip::cuda
