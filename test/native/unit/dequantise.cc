// Stored types as every instruction set of this processor reads them, against plain decoding of their blocks.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "cpu/backend.h"
#include "stored.h"
#include "unit.h"

namespace headzip::test {

namespace {

// Plain numbers keep the sign of a zero; a block's zero is what an offset leaves.
bool same(float got, double want, bool plain) {
  if (std::isnan(want)) return std::isnan(got);
  return got == static_cast<float>(want) && (!plain || std::signbit(got) == std::signbit(want));
}

struct Reader {
  const cpu::Kernels& kernels;
  std::mt19937 random{11};

  // Elements [first, first + count) are those decoded, each rounded to fp32 once.
  void expect_part(const Weight& weight, const std::vector<double>& values, int64_t first, int64_t count,
                   const std::string& what) {
    std::vector<float> out(static_cast<size_t>(count) + 1, -7);
    dequantize(kernels, weight, first, count, out.data());
    int64_t wrong = -1;
    for (int64_t i = 0; i < count && wrong < 0; ++i)
      if (!same(out[static_cast<size_t>(i)], values[static_cast<size_t>(first + i)], block_of(weight.type).elements == 1))
        wrong = first + i;
    expect(wrong < 0 && out.back() == -7, std::string(kernels.name) + ", " + what + ": element " + std::to_string(wrong) +
                                              " is decoded right, and nothing past the last");
  }

  void every_half() {
    for (const StoredType type : {StoredType::kF16, StoredType::kBF16}) {
      std::vector<uint16_t> bits(1 << 16);
      for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
      std::vector<double> values;
      for (const uint16_t each : bits)
        values.push_back(type == StoredType::kF16 ? decode_f16(each) : std::bit_cast<float>(static_cast<uint32_t>(each) << 16));
      expect_part({reinterpret_cast<const std::byte*>(bits.data()), type, 1, 1 << 16}, values, 0, 1 << 16,
                  std::string("every ") + name_of(type));
    }
  }

  void every_fp8() {
    std::vector<uint8_t> bits(256);
    std::vector<double> values;
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint8_t>(i), values.push_back(decode_e4m3(bits[i]));
    expect_part({reinterpret_cast<const std::byte*>(bits.data()), StoredType::kF8_E4M3, 1, 256}, values, 0, 256, "every FP8");
  }

  void part_of(const Encoded& encoded, int64_t rows, int64_t cols, const std::string& what) {
    Weight weight{encoded.bytes.data(), encoded.type, rows, cols};
    if (!encoded.scales.empty()) weight.scales = encoded.grid, weight.scales.data = encoded.scales.data();
    const int64_t block = block_of(encoded.type).elements, blocks = rows * cols / block;
    expect_part(weight, encoded.values, 0, rows * cols, what);
    for (int round = 0; round < 20; ++round) {
      const int64_t first = static_cast<int64_t>(random()) % blocks,
                    count = 1 + static_cast<int64_t>(random()) % (blocks - first);
      expect_part(weight, encoded.values, first * block, count * block, what + ", a part");
    }
  }

  void random_weights() {
    const auto below = [&](int64_t end) { return static_cast<int64_t>(random()) % end; };
    for (const StoredType type : kEveryStoredType)
      for (const int64_t blocks : {1, 3, 37}) {
        const int64_t cols = blocks * block_of(type).elements;
        part_of(random_weight(type, 5, cols, below), 5, cols, name_of(type));
      }
    for (const StoredType type : {StoredType::kF32, StoredType::kF16, StoredType::kBF16})
      for (const auto& [block_rows, block_cols, row] : std::vector<std::array<int64_t, 3>>{
               {1, 1, 0}, {2, 5, 3}, {128, 128, 100}, {1, 1 << 20, 4}, {1 << 20, 1 << 20, 0}, {3, 33, 1}}) {
        const ScaleGrid grid{.type = type, .block_rows = block_rows, .block_cols = block_cols, .row = row};
        part_of(random_weight(StoredType::kF8_E4M3, 9, 150, below, grid), 9, 150,
                "FP8 with " + std::string(name_of(type)) + " scales of " + std::to_string(block_rows) + " x " +
                    std::to_string(block_cols));
      }
  }
};

}  // namespace

void dequantise_tests() {
  for (const cpu::Kernels* kernels : {cpu::baseline_kernels(), cpu::avx2_kernels(), cpu::avx512_kernels()}) {
    if (kernels == nullptr) continue;
    Reader reader{*kernels};
    reader.every_half();
    reader.every_fp8();
    reader.random_weights();
  }
}

}  // namespace headzip::test
