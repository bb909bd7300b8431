#include "stored.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace headzip {

namespace {

double decode_plain(StoredType type, const uint8_t* at) {
  uint16_t half;
  std::memcpy(&half, at, 2);
  if (type == StoredType::kF16) return decode_f16(half);
  if (type == StoredType::kBF16) return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
  float value;
  std::memcpy(&value, at, 4);
  return value;
}

double half_of(std::span<const uint8_t> block, size_t at) {
  return decode_f16(static_cast<uint16_t>(block[at] | block[at + 1] << 8));
}

// Six bits a group of 32: `first` 0 for the scales, 4 for the offsets.
int six_bits(std::span<const uint8_t> packed, size_t group, size_t first) {
  if (group < 4) return packed[group + first] & 63;
  const int low = first == 0 ? packed[group + 4] & 15 : packed[group + 4] >> 4;
  return low | (packed[group - 4 + first] >> 6) << 4;
}

double decode_k(StoredType type, std::span<const uint8_t> b, size_t i) {
  if (type == StoredType::kQ6_K) {
    const size_t half = i / 128, l = i % 32, part = i % 128 / 32;
    const int byte = b[64 * half + 32 * (part % 2) + l], low = part < 2 ? byte & 15 : byte >> 4;
    const int high = b[128 + 32 * half + l] >> (2 * part) & 3;
    const auto scale = static_cast<int8_t>(b[192 + i / 16]);
    return half_of(b, 208) * scale * ((low | high << 4) - 32);
  }
  const bool five = type == StoredType::kQ5_K;
  const size_t group = i / 32;
  const int byte = b[(five ? 48u : 16u) + i / 64 * 32 + i % 32];
  int q = group % 2 == 0 ? byte & 15 : byte >> 4;
  if (five) q |= (b[16 + i % 32] >> group & 1) << 4;
  return half_of(b, 0) * six_bits(b.subspan(4, 12), group, 0) * q - half_of(b, 2) * six_bits(b.subspan(4, 12), group, 4);
}

double decode_small(StoredType type, std::span<const uint8_t> b, size_t i) {
  const double d = half_of(b, 0);
  if (type == StoredType::kQ8_0) return d * static_cast<int8_t>(b[2 + i]);
  const bool offset = type == StoredType::kQ4_1 || type == StoredType::kQ5_1,
             five = type == StoredType::kQ5_0 || type == StoredType::kQ5_1;
  const size_t bits = offset ? 4 : 2, nibbles = bits + (five ? 4 : 0);
  int q = i < 16 ? b[nibbles + i] & 15 : b[nibbles + i - 16] >> 4;
  if (five) q |= (b[bits + i / 8] >> i % 8 & 1) << 4;
  if (offset) return d * q + half_of(b, 2);
  return d * (q - (five ? 16 : 8));
}

// Where the f16 scales of a block lie; these must be numbers of ordinary size.
std::vector<size_t> scales_of(StoredType type) {
  switch (type) {
    case StoredType::kQ8_0:
    case StoredType::kQ4_0:
    case StoredType::kQ5_0: return {0};
    case StoredType::kQ6_K: return {208};
    default: return {0, 2};
  }
}

void put(std::vector<std::byte>& bytes, size_t at, uint16_t value) { std::memcpy(bytes.data() + at, &value, 2); }

// A plain number of about -1 .. 1 (scales: 0.5 .. 1) in `type`, at `at`.
void put_plain(std::vector<std::byte>& bytes, size_t at, StoredType type, const Random& random, bool scale) {
  const auto sign = static_cast<uint32_t>(scale ? 0 : random(2)), exponent = static_cast<uint32_t>(scale ? 0 : random(6));
  if (type == StoredType::kF16)
    return put(bytes, at, static_cast<uint16_t>(sign << 15 | (14 - exponent) << 10 | random(1 << 10)));
  if (type == StoredType::kBF16)
    return put(bytes, at, static_cast<uint16_t>(sign << 15 | (126 - exponent) << 7 | random(1 << 7)));
  const auto bits = static_cast<uint32_t>(sign << 31 | (126 - exponent) << 23 | random(1 << 23));
  std::memcpy(bytes.data() + at, &bits, 4);
}

void scale_fp8(Encoded& out, int64_t rows, int64_t cols, const Random& random, const ScaleGrid& grid) {
  const auto up = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
  out.grid = grid;
  out.grid.across = up(cols, grid.block_cols);
  const int64_t count = up(grid.row + rows, grid.block_rows) * out.grid.across, size = block_of(grid.type).bytes;
  out.scales.resize(static_cast<size_t>(count * size));
  for (int64_t i = 0; i < count; ++i) put_plain(out.scales, static_cast<size_t>(i * size), grid.type, random, true);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t scale = (grid.row + r) / grid.block_rows * out.grid.across + c / grid.block_cols;
      double& value = out.values[static_cast<size_t>(r * cols + c)];
      value = static_cast<float>(value *
                                 decode_plain(grid.type, reinterpret_cast<const uint8_t*>(out.scales.data()) + scale * size));
    }
}

}  // namespace

const char* name_of(StoredType type) {
  constexpr const char* kNames[] = {"F32",  "F16",  "BF16", "F8_E4M3", "Q8_0", "Q4_0",
                                    "Q4_1", "Q5_0", "Q5_1", "Q4_K",    "Q5_K", "Q6_K"};
  return kNames[static_cast<size_t>(type)];
}

double decode_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

double decode_e4m3(uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if ((bits & 127) == 127) return NAN;
  const double sign = bits >> 7 != 0 ? -1 : 1;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10));
}

std::vector<double> decode_block(StoredType type, std::span<const uint8_t> block) {
  std::vector<double> out(static_cast<size_t>(block_of(type).elements));
  for (size_t i = 0; i < out.size(); ++i) {
    if (type == StoredType::kF8_E4M3) out[i] = decode_e4m3(block[0]);
    else if (!quantised(type)) out[i] = decode_plain(type, block.data());
    else out[i] = type >= StoredType::kQ4_K ? decode_k(type, block, i) : decode_small(type, block, i);
  }
  return out;
}

Encoded random_weight(StoredType type, int64_t rows, int64_t cols, const Random& random, ScaleGrid grid) {
  Encoded out;
  out.type = type;
  out.bytes.resize(static_cast<size_t>(bytes_of(type, rows * cols)));
  const auto step = static_cast<size_t>(block_of(type).bytes);
  for (size_t at = 0; at < out.bytes.size(); at += step) {
    if (!quantised(type)) {
      put_plain(out.bytes, at, type, random, false);
    } else {
      for (size_t i = 0; i < step; ++i) out.bytes[at + i] = static_cast<std::byte>(random(256));
      if (type == StoredType::kF8_E4M3 && (out.bytes[at] & std::byte{127}) == std::byte{127}) out.bytes[at] = std::byte{64};
      if (type != StoredType::kF8_E4M3)
        for (const size_t scale : scales_of(type))
          put(out.bytes, at + scale, static_cast<uint16_t>(random(2) << 15 | (8 + random(3)) << 10 | random(1024)));
    }
    const auto* block = reinterpret_cast<const uint8_t*>(out.bytes.data()) + at;
    for (const double each : decode_block(type, {block, step})) out.values.push_back(each);
  }
  if (type == StoredType::kF8_E4M3 && grid.block_rows > 0) scale_fp8(out, rows, cols, random, grid);
  return out;
}

}  // namespace headzip
