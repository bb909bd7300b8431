#include "scales.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "../error.h"
#include "dequantize.h"

namespace headzip {

namespace {

// Far above any block and any tensor, far below what a sum or a product of two overflows.
constexpr int64_t kMost = int64_t{1} << 31;

bool within(int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; }

// A scale that is no number makes its weights none, which would show layers later and nowhere near its name.
void check_values(const ScalesRef& s, const MappedFile& file, int64_t count) {
  constexpr int64_t kPart = 1024;
  float values[kPart];
  const Weight scales{file.data() + s.offset, s.type, 1, count};
  for (int64_t at = 0; at < count; at += kPart) {
    const int64_t part = std::min(kPart, count - at);
    dequantize(scales, at, part, values);
    for (int64_t i = 0; i < part; ++i)
      if (!(values[i] >= 0) || !std::isfinite(values[i]))
        throw Error(file.path() + ": scale " + std::to_string(at + i) + " of " + s.name +
                    " must be a finite number of at least 0, got " + std::to_string(values[i]));
  }
}

}  // namespace

ScaleGrid find_scales(const WeightRef& ref, int64_t rows, int64_t cols,
                      const std::vector<std::shared_ptr<const MappedFile>>& files) {
  const bool scaled = ref.type == StoredType::kF8_E4M3;
  if (!scaled && !ref.scales) return {};
  if (scaled != ref.scales.has_value())
    throw Error("weight " + ref.name + (scaled ? " is FP8 without scales" : " has scales but is not FP8"));
  const ScalesRef& s = *ref.scales;
  if (s.file >= files.size()) throw Error("the scales " + s.name + " name a file that is not in the list");
  const MappedFile& file = *files[s.file];
  const auto fail = [&](const char* why) { return Error("the scales " + s.name + " in " + file.path() + " " + why); };
  if (quantised(s.type)) throw fail("must be F32, F16 or BF16");
  if (s.shape.size() != 2 || !within(s.shape[0], 1, kMost) || !within(s.shape[1], 1, kMost) ||
      !within(s.block_rows, 1, kMost) || !within(s.block_cols, 1, kMost) || !within(s.row, 0, kMost))
    throw fail("have no shape of two sizes, or blocks of no size");
  if ((s.row + rows - 1) / s.block_rows >= s.shape[0] || (cols - 1) / s.block_cols >= s.shape[1])
    throw fail(("do not cover the weight " + ref.name).c_str());
  const int64_t count = s.shape[0] * s.shape[1];
  if (s.bytes != static_cast<uint64_t>(bytes_of(s.type, count))) throw fail("have a size that does not match their shape");
  if (s.offset > file.size() || s.bytes > file.size() - s.offset) throw fail("lie past the end of the file");
  check_values(s, file, count);
  return {file.data() + s.offset, s.type, s.block_rows, s.block_cols, s.shape[1], s.row};
}

}  // namespace headzip
