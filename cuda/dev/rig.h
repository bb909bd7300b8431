// What the development programs stand on: device arrays that free themselves, random numbers, a KV cache of several
// segments, and a naive attention to hold the real kernels against. Not part of the addon.
#pragma once
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "../attention/tensor_map.h"
#include "../launch.h"

namespace headzip::cuda::dev {

void must(cudaError_t status, const char* doing);
#define MUST(call) ::headzip::cuda::dev::must((call), #call)

template <typename T>
class Array {
 public:
  explicit Array(size_t count = 0) : count_(count) {
    if (count > 0) MUST(cudaMalloc(&data_, count * sizeof(T)));
  }
  explicit Array(const std::vector<T>& from) : Array(from.size()) {
    if (count_ > 0) MUST(cudaMemcpy(data_, from.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~Array() { cudaFree(data_); }
  Array(Array&& other) noexcept : data_(other.data_), count_(other.count_) { other.data_ = nullptr; }
  Array& operator=(Array&&) = delete;
  T* get() const { return static_cast<T*>(data_); }
  size_t count() const { return count_; }
  std::vector<T> host() const {
    std::vector<T> out(count_);
    MUST(cudaMemcpy(out.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return out;
  }

 private:
  void* data_ = nullptr;
  size_t count_;
};

void fill_normal(bf16* out, size_t count, unsigned seed);
void poison(void* out, size_t bytes);  // with NaN

// Median over `runs` calls, each timed by events, after one to warm up.
template <typename F>
double milliseconds(int runs, F&& call) {
  cudaEvent_t from, to;
  MUST(cudaEventCreate(&from));
  MUST(cudaEventCreate(&to));
  std::vector<float> times(static_cast<size_t>(runs));
  call();
  for (float& each : times) {
    MUST(cudaEventRecord(from));
    call();
    MUST(cudaEventRecord(to));
    MUST(cudaEventSynchronize(to));
    MUST(cudaEventElapsedTime(&each, from, to));
  }
  cudaEventDestroy(from);
  cudaEventDestroy(to);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Keys and values of one layer, (kv_heads, capacity, head_dim), every head in its own buffer, capacity past the length.
class Cache {
 public:
  Cache(int kv_heads, int head_dim, int length, int cluster, unsigned seed);
  const HeadKv* heads() const { return heads_->get(); }
  const HeadMaps* maps() const { return maps_ ? maps_->get() : nullptr; }
  int length() const { return length_; }

 private:
  Array<bf16> memory_;
  std::unique_ptr<Array<HeadKv>> heads_;
  std::unique_ptr<Array<HeadMaps>> maps_;
  int length_;
};

struct Range {
  const Cache* cache;
  int begin, end, position;
  bool in_score, scored;
};

// One attention problem with its own queries, output and scores.
struct Work {
  Work(const AttentionShape& shape, int queries, int position, const std::vector<Range>& ranges, unsigned seed);
  AttentionParams params{};
  std::unique_ptr<Array<bf16>> q, out;
  std::unique_ptr<Array<float>> scores, lse;
  int scored_keys = 0;
};

enum class Path { kPortable, kHopper, kHopperPairs };
const char* name(Path path);
int cluster_of(Path path);
bool runs(Path path, int head_dim);

// The real kernels over all works in one launch.
struct Launch {
  // With `lse` attention() leaves score() what its first pass would find (on Hopper).
  Launch(Path path, const AttentionShape& shape, const std::vector<Work*>& works, bool lse = false);
  void attention() const;
  void score() const;

 private:
  Path path_;
  AttentionShape shape_;
  std::unique_ptr<Array<AttentionParams>> batch_;
  std::unique_ptr<Array<Tile>> tiles_, score_tiles_;
  int sm_count_ = 0;
};

// out (queries, heads * head_dim) of one problem in fp32; `low` rounds logits, weights and output to bf16 on the way.
std::vector<float> naive_attention(const AttentionShape& shape, const Work& work, bool low);
// (kv_heads, scored keys)
std::vector<float> naive_scores(const AttentionShape& shape, const Work& work, bool low);

// How many cases are wrong; small: of those that do under a tool.
int check_kernels(bool small);
int check_decode();  // check_step()'s cases, too
int check_step();
void measure_kernels();
void measure_decode();

}  // namespace headzip::cuda::dev
