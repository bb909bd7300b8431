#include "timeline.h"

#include "device.h"

namespace headzip::cuda {

Timeline::~Timeline() {
  for (const cudaEvent_t event : events_) cudaEventDestroy(event);
}

// A span that cannot be recorded is left out: measuring must not fail the work.
void Timeline::mark(const char* kind, bool begin) noexcept {
  if (begin && used_ % 2 == 1) used_ -= 1;  // the span before never ended
  if (used_ == events_.size()) {
    cudaEvent_t event = nullptr;
    if (cudaEventCreate(&event) != cudaSuccess) return;
    events_.push_back(event);
  }
  if (begin) {
    kinds_.resize(used_ / 2);
    kinds_.push_back(kind);
  }
  if (cudaEventRecord(events_[used_], stream_) == cudaSuccess) ++used_;
}

void Timeline::collect() {
  for (size_t i = 0; i + 1 < used_; i += 2) {
    float ms = 0;
    if (cudaEventElapsedTime(&ms, events_[i], events_[i + 1]) != cudaSuccess) continue;
    KernelTime& total = totals_[kinds_[i / 2]];
    total.kind = kinds_[i / 2];
    total.seconds += ms / 1e3;
    total.spans += 1;
  }
  used_ = 0;
}

std::vector<KernelTime> Timeline::take() {
  std::vector<KernelTime> all;
  for (const auto& [kind, total] : totals_) all.push_back(total);
  totals_.clear();
  return all;
}

}  // namespace headzip::cuda
