// What the numbers of activations and of cached keys and values are.
#pragma once
#include <cstddef>
#include <cstdint>

namespace headzip {

enum class Element : uint8_t { kF32, kBF16 };

constexpr size_t bytes_of(Element element) { return element == Element::kF32 ? 4 : 2; }

constexpr const char* name_of(Element element) { return element == Element::kF32 ? "fp32" : "bf16"; }

}  // namespace headzip
