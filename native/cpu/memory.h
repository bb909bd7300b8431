// Aligned host memory that is counted: what the engine holds now and at most.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>

#include "../backend.h"

namespace headzip::cpu {

class Meter {
 public:
  void add(size_t bytes);
  void subtract(size_t bytes) { now_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t now() const { return now_.load(std::memory_order_relaxed); }
  size_t peak() const { return peak_.load(std::memory_order_relaxed); }
  void reset_peak() { peak_.store(now(), std::memory_order_relaxed); }

 private:
  std::atomic<size_t> now_{0}, peak_{0};
};

// 64-byte aligned floats. Large blocks come straight from the system and go straight back to it, so that what is freed
// is freed for the process too.
class Floats final : public Memory {
 public:
  Floats() = default;
  // Throws Error when there is not enough memory. `zeroed` pages are zero.
  Floats(std::shared_ptr<Meter> meter, size_t count, bool zeroed);
  ~Floats() override;
  Floats(Floats&& other) noexcept { swap(other); }
  Floats& operator=(Floats&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(Floats& other) noexcept;
  float* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Meter> meter_;
  float* data_ = nullptr;
  size_t bytes_ = 0;
  bool mapped_ = false;
};

}  // namespace headzip::cpu
