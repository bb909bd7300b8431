// Weights of every stored type, and their plain decoding: number by number, in double precision, from the formats'
// own descriptions (GGUF's block layouts, PyTorch's float8_e4m3fn).
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model.h"

namespace headzip {

inline constexpr StoredType kEveryStoredType[] = {StoredType::kF32,  StoredType::kF16,  StoredType::kBF16, StoredType::kF8_E4M3,
                                                  StoredType::kQ8_0, StoredType::kQ4_0, StoredType::kQ4_1, StoredType::kQ5_0,
                                                  StoredType::kQ5_1, StoredType::kQ4_K, StoredType::kQ5_K, StoredType::kQ6_K};
const char* name_of(StoredType type);

// (rows, cols) of one type as a file holds them.
struct Encoded {
  StoredType type = StoredType::kF32;
  std::vector<std::byte> bytes;
  // FP8 only: the scales, and where the weight stands among them (`grid.data` is left to whoever keeps the bytes).
  std::vector<std::byte> scales;
  ScaleGrid grid;
  std::vector<double> values;  // decoded: exact but for FP8, whose product with its scale fp32 rounds
};

// A random integer in [0, end).
using Random = std::function<int64_t(int64_t end)>;

// Every byte is random but the scales of blocks, which are of ordinary size. `grid` with FP8: its block sizes, type and
// first row are taken from there; block sizes of 0: no scales.
Encoded random_weight(StoredType type, int64_t rows, int64_t cols, const Random& random, ScaleGrid grid = {.block_rows = 0});

// One block of `type`: block_of(type).elements numbers.
std::vector<double> decode_block(StoredType type, std::span<const uint8_t> block);
double decode_f16(uint16_t bits);
double decode_e4m3(uint8_t bits);

}  // namespace headzip
