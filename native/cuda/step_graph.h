// A decoding step as a CUDA graph: recorded once, launched for every token after. What moves on with every token is counted
// on the device, and the kernels add the count to positions and lengths.
#pragma once
#include <vector>

#include "kv_layer.h"

namespace headzip::cuda {

class StepGraph final : public Recording {
 public:
  explicit StepGraph(const std::shared_ptr<DeviceMeter>& meter) : counter_(meter, sizeof(int32_t), "a step counter") {}
  ~StepGraph() override;
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  bool recorded() const { return exec_ != nullptr; }
  // Whether the layers that it appends to are as it left them, with room, and the work buffer is where it was.
  bool fits(const void* scratch) const;
  int32_t* counter() const { return counter_.as<int32_t>(); }

  void begin(cudaStream_t stream, const void* scratch);
  void appends(CudaKvLayer& layer, int64_t tokens);  // called before the layer grows
  void finish(cudaStream_t stream);
  void abandon(cudaStream_t stream) noexcept;
  // For the step that was recorded: the layers' own lengths know of it.
  void launch(cudaStream_t stream) const;
  // For the next one: launches it and lets the lengths follow.
  void play(cudaStream_t stream);

 private:
  struct Growth {
    CudaKvLayer* layer;
    uint64_t epoch;
    int64_t length, tokens;  // before the next launch; of one
  };
  DeviceMemory counter_;
  const void* scratch_ = nullptr;
  std::vector<Growth> growths_;
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace headzip::cuda
