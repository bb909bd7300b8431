// Where a job's time on the GPU goes, by kind of work. Costs two events an operation, so it is off unless asked for.
#pragma once
#include <cuda_runtime_api.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../backend.h"

namespace headzip::cuda {

class Timeline {
 public:
  Timeline(cudaStream_t stream, bool on) : stream_(stream), on_(on) {}
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  bool on() const { return on_; }

  // What the stream is given while a Span lives counts as `kind`.
  class Span {
   public:
    Span(Timeline& line, const char* kind) : line_(line.on_ ? &line : nullptr), kind_(kind) {
      if (line_ != nullptr) line_->mark(kind_, true);
    }
    ~Span() {
      if (line_ != nullptr) line_->mark(kind_, false);
    }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    Timeline* line_;
    const char* kind_;
  };

  // Adds up what has run; the stream must be empty.
  void collect();
  // Seconds and spans of every kind since the last call.
  std::vector<KernelTime> take();

 private:
  void mark(const char* kind, bool begin) noexcept;

  cudaStream_t stream_;
  bool on_;
  std::vector<cudaEvent_t> events_;  // in pairs; [0, used_) are recorded
  std::vector<const char*> kinds_;   // of the pairs
  size_t used_ = 0;
  std::map<std::string, KernelTime> totals_;
};

}  // namespace headzip::cuda
