#include "device.h"

#include <utility>

#include "../error.h"

namespace headzip::cuda {

namespace {
std::string mebibytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }
}  // namespace

void check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that was told is not told again
  throw Error(std::string("the GPU failed at ") + doing + ": " + cudaGetErrorString(status));
}

void DeviceMeter::add(size_t bytes) {
  const size_t now = now_ += bytes;
  size_t peak = peak_;
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
  }
}

DeviceMemory::DeviceMemory(std::shared_ptr<DeviceMeter> meter, size_t bytes, const char* what)
    : meter_(std::move(meter)), bytes_((bytes + 255) / 256 * 256 + (bytes == 0 ? 256 : 0)) {
  const size_t held = meter_->now();
  if (held + bytes_ > meter_->limit())
    throw Error("the GPU memory limit of " + mebibytes(meter_->limit()) + " is too small: " + std::string(what) + " needs " +
                mebibytes(bytes_) + " with " + mebibytes(held) + " held; raise --gpu-memory or shorten the context");
  const cudaError_t status = cudaMalloc(&data_, bytes_);
  if (status == cudaSuccess) {
    meter_->add(bytes_);
    return;
  }
  cudaGetLastError();
  data_ = nullptr;
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw Error("the GPU is out of memory: " + std::string(what) + " needs " + mebibytes(bytes_) + ", " + mebibytes(free) +
              " of " + mebibytes(total) + " are free and " + mebibytes(held) +
              " are held here; lower --gpu-memory to stream the weights, or shorten the context");
}

DeviceMemory::~DeviceMemory() {
  if (data_ == nullptr) return;
  cudaFree(data_);
  meter_->subtract(bytes_);
}

void DeviceMemory::swap(DeviceMemory& other) noexcept {
  std::swap(meter_, other.meter_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
}

Stream::Stream() { HEADZIP_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
Stream::~Stream() { cudaStreamDestroy(stream_); }
Event::Event() { HEADZIP_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
Event::~Event() { cudaEventDestroy(event_); }
TimedEvent::TimedEvent() { HEADZIP_CUDA(cudaEventCreate(&event_)); }
TimedEvent::~TimedEvent() { cudaEventDestroy(event_); }
PinnedMemory::PinnedMemory(size_t bytes) { HEADZIP_CUDA(cudaHostAlloc(&data_, bytes, cudaHostAllocMapped)); }
PinnedMemory::~PinnedMemory() { cudaFreeHost(data_); }

}  // namespace headzip::cuda
