// Whether numbers are numbers.
#pragma once
#include <bit>
#include <cstdint>
#include <span>

namespace headzip {

// False when a value is NaN or infinite. Looks at the bits, without a branch a value, so that it costs next to nothing.
inline bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (const float value : values) bad |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent;
  return bad == 0;
}

}  // namespace headzip
