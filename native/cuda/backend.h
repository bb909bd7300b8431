// The CUDA backend: bf16 activations and KV on the GPU, the residual stream in fp32, one stream of work, the caller running ahead of it.
#pragma once
#include <vector>

#include "../../cuda/gemm/gemm.h"
#include "../../cuda/launch.h"
#include "attention_plan.h"
#include "device.h"
#include "kv_layer.h"
#include "step_graph.h"
#include "switches.h"
#include "timeline.h"
#include "weights.h"

namespace headzip::cuda {

class CudaBackend final : public Backend {
 public:
  CudaBackend(size_t memory_limit, uint64_t random_seed, bool timed);
  ~CudaBackend() override;
  const char* name() const override { return "cuda"; }
  Element element() const override { return Element::kBF16; }
  Element stream_element() const override { return Element::kF32; }
  OwnedRows rows(int64_t count, int64_t width) override { return allocate(count, width, element()); }
  OwnedRows stream(int64_t count, int64_t width) override { return allocate(count, width, stream_element()); }
  std::unique_ptr<KvLayer> kv(int64_t kv_heads, int64_t head_dim, int64_t capacity) override;
  ScoreBuffer scores(int64_t kv_heads, int64_t positions) override;
  void clear(const ScoreBuffer& scores) override;
  void download(const ScoreBuffer& scores, float* out) override;
  void begin(const Model& model, size_t working_bytes) override;
  void enter_layer(const Model& model, int64_t layer) override;
  int64_t tile_rows(const ModelSpec& spec) const override;
  void rms_norm(Rows x, const Weight& weight, const NormParams& params, Rows out) override;
  void linear(Rows x, std::span<const LinearParams> batch) override;
  void rope(Rows x, int64_t heads, const RopeRef& rope, int64_t position) override;
  void append(KvLayer& kv, Rows k, Rows v) override;
  void rope_append(KvLayer& kv, Rows q, int64_t heads, Rows k, Rows v, const RopeRef& rope, int64_t position) override;
  void attention(const AttentionSpec& spec, std::span<const headzip::AttentionParams> batch) override;
  void gated_mlp(Activation activation, Rows x, const LinearParams& gate, const LinearParams& up) override;
  void act_and_mul(Activation activation, Rows gate, Rows up) override;
  void gather(Rows x, std::span<const int32_t> index, Rows out) override;
  void scatter_add(Rows x, std::span<const int32_t> index, std::span<const float> weight, Rows out) override;
  void download(Rows x, float* out) override;
  std::vector<Argmax> argmax(Rows x) override;
  void replay(std::unique_ptr<Recording>& recording, const std::function<void()>& step) override;
  bool finite(Rows) override { return true; }  // rope and the norms look at what they read, synchronize() tells
  bool synchronize() override;
  void throttle() override;
  size_t allocated_bytes() const override { return meter_->now(); }
  size_t peak_bytes() const override { return meter_->peak(); }
  void reset_peak() override { meter_->reset_peak(); }
  size_t device_bytes() const override;
  double copy_rate() override;
  std::vector<KernelTime> kernel_times() override { return timeline_.take(); }

 private:
  void embed_rows(const Weight& table, std::span<const int32_t> ids, float scale, Rows out) override;
  OwnedRows allocate(int64_t count, int64_t width, Element element);
  static KvSegment describe(const headzip::KvSegment& segment, int64_t window);
  AttentionParams describe(const AttentionSpec& spec, const headzip::AttentionParams& params) const;
  // Whether the Hopper kernels serve heads of this width on this GPU.
  bool runs_hopper(int64_t head_dim) const { return hopper_ && hopper_attention_tiles(static_cast<int>(head_dim)).rows > 0; }
  void launch_hopper(const AttentionShape& shape, const AttentionShape& seen, const std::vector<AttentionParams>& scored,
                     const std::vector<AttentionParams>& forward);
  void launch_portable(const AttentionShape& shape, const AttentionShape& seen, const std::vector<AttentionParams>& scored,
                       const std::vector<AttentionParams>& forward);
  // Whether the kernels of decode.cc take this batch.
  bool decodes(const AttentionSpec& spec, std::span<const headzip::AttentionParams> batch) const;
  SplitPlan split_plan(const AttentionSpec& spec, const headzip::KvSegment& segment, bool alone) const;
  void launch_decode(const AttentionSpec& spec, std::span<const headzip::AttentionParams> batch);
  int blocks_per_sm(int64_t head_dim) const;
  float* scratch(size_t bytes);
  bool few(Rows x) const;
  GemvOutput few_rows_output(const LinearParams& params);
  void few_rows_linear(Rows x, std::span<const LinearParams> batch);
  const float* frequencies(const RopeRef& rope);
  bool records() const;
  void not_recorded(const char* what) const;  // throws Error while a step is recorded
  void upload(const Image& image);  // into plan_
  template <typename T>
  const T* planned(size_t offset) const {
    return reinterpret_cast<const T*>(plan_.as<std::byte>() + offset);
  }
  void embed_on_device(const Weight& table, std::span<const int32_t> ids, Rows out);
  void embed_from_host(const Weight& table, std::span<const int32_t> ids, Rows out);

  const Switches switches_ = Switches::from_environment();
  std::shared_ptr<DeviceMeter> meter_;
  Stream stream_;
  Stream recording_stream_;  // caches are changed on `stream_` by other threads, too: that must not be recorded
  cudaStream_t work_ = stream_;  // where the kernels of a step go: `stream_`, or the other one while it is recorded
  Timeline timeline_;
  WeightStore weights_;
  DeviceMemory workspace_;
  std::unique_ptr<Gemm> gemm_;
  int cluster_ = 0;  // blocks that share tiles of keys in the Hopper kernel: 1 or 2, or 0: as the batch asks
  int sm_count_ = 0;
  bool hopper_ = false;
  struct RotaryTable {
    RopeRef rope;
    DeviceMemory inv_freq;
    bool used = true;  // since the last begin()
  };
  std::vector<RotaryTable> rotary_tables_;  // frequencies of the ropes at hand
  DeviceMemory plan_;  // params and tiles of an attention launch
  DeviceMemory lse_;  // AttentionParams::lse of a launch
  PinnedMemory flag_{sizeof(int32_t)};  // set by whatever met a value that is not finite
  static constexpr int kAhead = 2;  // tiles that may be under way
  Event throttle_events_[kAhead];
  int throttle_at_ = 0;
  static constexpr int64_t kArgmaxKeys = 1024;
  DeviceMemory argmax_keys_;
  PinnedMemory host_keys_{kArgmaxKeys * sizeof(uint64_t)};
  static constexpr size_t kFewIds = 64;
  PinnedMemory few_ids_{kFewIds * sizeof(int32_t)};  // token ids that the GPU reads where they are
  Event ids_read_;
  DeviceMemory scratch_;  // partial outputs of splits of keys
  StepGraph* recorder_ = nullptr;  // of the step that is being recorded
  const int32_t* advance_ = nullptr;  // its count of steps
  mutable int64_t blocks_per_sm_dim_ = 0;
  mutable int blocks_per_sm_ = 1;  // blocks of decode_attention() that an SM holds, for heads of that width
};

inline bf16* values(Rows x) { return reinterpret_cast<bf16*>(x.data); }
inline Values stored(Rows x) { return {x.data, x.element == Element::kF32}; }

}  // namespace headzip::cuda
