// How weights lie in files: plain numbers, FP8 whose scales are a tensor of their own, or blocks of quantised numbers
// with their scales inside (GGUF's names).
#pragma once
#include <cstddef>
#include <cstdint>

namespace headzip {

enum class StoredType : uint8_t { kF32, kF16, kBF16, kF8_E4M3, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K };

// Elements that are stored together, and the bytes they take. A row is a whole number of blocks.
struct StoredBlock {
  int64_t elements, bytes;
};

constexpr StoredBlock block_of(StoredType type) {
  switch (type) {
    case StoredType::kF32: return {1, 4};
    case StoredType::kF16:
    case StoredType::kBF16: return {1, 2};
    case StoredType::kF8_E4M3: return {1, 1};
    case StoredType::kQ8_0: return {32, 34};
    case StoredType::kQ4_0: return {32, 18};
    case StoredType::kQ4_1: return {32, 20};
    case StoredType::kQ5_0: return {32, 22};
    case StoredType::kQ5_1: return {32, 24};
    case StoredType::kQ4_K: return {256, 144};
    case StoredType::kQ5_K: return {256, 176};
    case StoredType::kQ6_K: return {256, 210};
  }
  return {1, 4};
}

// Numbers that only the CPU's kernels can dequantise, and vectors never come in.
constexpr bool quantised(StoredType type) { return type > StoredType::kBF16; }

// Bytes of `count` elements that start at a block's start.
constexpr int64_t bytes_of(StoredType type, int64_t count) { return count / block_of(type).elements * block_of(type).bytes; }

}  // namespace headzip
