// Progress and abort of a running job, shared between the thread that works and the thread that watches.
#pragma once
#include <atomic>

#include "error.h"

namespace headzip {

struct JobControl {
  std::atomic<bool> aborted{false};
  // Work done so far and in all, in multiply-adds of the plan: proportional to time, so that an ETA is honest.
  std::atomic<double> done{0};
  std::atomic<double> total{0};

  void advance(double work) {
    done.store(done.load(std::memory_order_relaxed) + work, std::memory_order_relaxed);
    check();
  }
  void check() const {
    if (aborted.load(std::memory_order_relaxed)) throw Aborted();
  }
};

}  // namespace headzip
