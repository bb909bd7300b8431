// Weights on the GPU, as bf16: all of them at once where they fit, else two layers at a time, the next one on its way
// while the current one works.
#pragma once
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "../../cuda/types.h"
#include "device.h"

namespace headzip::cuda {

class WeightStore {
 public:
  // `random_seed` other than 0: weights are random numbers, whatever the file holds (it is still read when streaming).
  WeightStore(std::shared_ptr<DeviceMeter> meter, cudaStream_t compute, uint64_t random_seed);
  ~WeightStore();
  WeightStore(const WeightStore&) = delete;
  WeightStore& operator=(const WeightStore&) = delete;

  // Decides between resident and streamed for a job that needs `working` bytes besides; keeps an earlier decision for
  // residence. Throws Error when not even two layers fit.
  void plan(const Model& model, size_t working);
  // Layer `layer` is used from now on; the one after it is fetched.
  void enter(const Model& model, int64_t layer);
  // Device copy of a weight of the layer entered, or of embedding, final norm or head.
  const bf16* get(const Weight& weight);
  bool streamed() const { return streamed_; }
  size_t resident_bytes() const;

 private:
  struct Slot {
    DeviceMemory memory;
    int64_t layer = -1;
    std::map<const Weight*, const bf16*> at;
    Event arrived, released;
    bool used = false;
  };
  void load_layer(const Model& model, int64_t layer, Slot& slot);
  void fetch(const Model& model, int64_t layer, Slot& slot);
  const bf16* upload(const Weight& weight, std::byte* to, cudaStream_t stream);
  void copy_stored(const Weight& weight, std::byte* to, cudaStream_t stream);
  void copy_blocks(const Weight& weight, std::byte* to, cudaStream_t stream);
  void copy_in(const std::byte* from, size_t bytes, void* to, cudaStream_t stream);
  void wait_for_reader();

  std::shared_ptr<DeviceMeter> meter_;
  cudaStream_t compute_;
  uint64_t random_seed_;
  const std::byte* anchor_ = nullptr;  // random weights are the same wherever the file is mapped
  std::set<const Weight*> norms_;  // these are ones where weights are random
  Stream copies_;
  std::map<const Weight*, DeviceMemory> resident_;
  bool streamed_ = false;
  Slot slots_[2];
  int64_t entered_ = -1;

  static constexpr size_t kStage = size_t{32} << 20;
  void* stages_[2] = {};  // pinned
  Event stage_free_[2];
  int stage_ = 0;
  DeviceMemory dequant_buffer_;  // a stored part before it becomes bf16

  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable signal_;
  bool reading_ = false, stopping_ = false;
  const Model* wanted_model_ = nullptr;
  int64_t wanted_layer_ = -1;
  int wanted_slot_ = 0;
  std::string failure_;
};

// The weights of a layer that are there.
std::vector<const Weight*> weights_of(const LayerWeights& layer);

}  // namespace headzip::cuda
