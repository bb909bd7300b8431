#include "memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "../error.h"

namespace headzip::cpu {

namespace {
constexpr size_t kMapFrom = 1 << 18;
}

void Meter::add(size_t bytes) {
  const size_t now = now_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  size_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

Floats::Floats(std::shared_ptr<Meter> meter, size_t count, bool zeroed)
    : meter_(std::move(meter)), bytes_((count * sizeof(float) + 63) / 64 * 64) {
  if (bytes_ == 0) bytes_ = 64;
  mapped_ = bytes_ >= kMapFrom;
  void* p = mapped_ ? ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    : std::aligned_alloc(64, bytes_);
  if (p == nullptr || p == MAP_FAILED)
    throw Error("not enough memory: " + std::to_string(bytes_ >> 20) + " MiB more were asked for with " +
                std::to_string(meter_->now() >> 20) + " MiB held");
  if (!mapped_ && zeroed) std::memset(p, 0, bytes_);
  data_ = static_cast<float*>(p);
  meter_->add(bytes_);
}

Floats::~Floats() {
  if (data_ == nullptr) return;
  if (mapped_) ::munmap(data_, bytes_);
  else std::free(data_);
  meter_->subtract(bytes_);
}

void Floats::swap(Floats& other) noexcept {
  std::swap(meter_, other.meter_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
}

}  // namespace headzip::cpu
