// Turns the SIGBUS of a mapped file that lost its pages into a mark that can be asked for.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace headzip {

// Guards one mapping for as long as it lives. Reading a page that the file no longer has gives zeros, on whichever thread,
// and from then on `lost()` says so. Faults elsewhere go to the handler that was there before.
class BusGuard {
 public:
  // [at, at + bytes): a private read-only mapping.
  BusGuard(const void* at, size_t bytes);
  ~BusGuard();
  BusGuard(const BusGuard&) = delete;
  BusGuard& operator=(const BusGuard&) = delete;
  bool lost() const { return range_->lost.load(std::memory_order_relaxed); }

 private:
  // What the handler reads. Never freed: a fault on another thread may be walking the list, and it is a few words a file.
  struct Range {
    const uintptr_t begin, end;
    std::atomic<bool> live{true}, lost{false};
    Range* next = nullptr;
  };
  friend struct BusHandler;
  Range* range_;
};

}  // namespace headzip
