// The GPU: whether there is one, memory that is counted and capped, errors as sentences.
#pragma once
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "../backend.h"

namespace headzip::cuda {

// Throws Error with the operation's name when `status` is one.
void check(cudaError_t status, const char* doing);
#define HEADZIP_CUDA(call) ::headzip::cuda::check((call), #call)

// Device memory held now and at most, and the most that may be held.
class DeviceMeter {
 public:
  explicit DeviceMeter(size_t limit) : limit_(limit) {}
  void add(size_t bytes);
  void subtract(size_t bytes) { now_ -= bytes; }
  size_t now() const { return now_; }
  size_t peak() const { return peak_; }
  size_t limit() const { return limit_; }
  void reset_peak() { peak_ = now_.load(); }

 private:
  std::atomic<size_t> now_{0}, peak_{0};
  size_t limit_;
};

class DeviceMemory final : public Memory {
 public:
  DeviceMemory() = default;
  // Throws Error that says what was asked for, what is free, and what to change.
  DeviceMemory(std::shared_ptr<DeviceMeter> meter, size_t bytes, const char* what);
  ~DeviceMemory() override;
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(DeviceMemory& other) noexcept;
  template <typename T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<DeviceMeter> meter_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// An event that a time can be taken from.
class TimedEvent {
 public:
  TimedEvent();
  ~TimedEvent();
  TimedEvent(const TimedEvent&) = delete;
  TimedEvent& operator=(const TimedEvent&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Host memory that the GPU reads and writes in place.
class PinnedMemory {
 public:
  explicit PinnedMemory(size_t bytes);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
};

}  // namespace headzip::cuda
