// Stored types and scales of weights as the kernels take them.
#pragma once
#include "../model.h"
#include "kernels.h"

namespace headzip::cpu {

inline Stored stored(StoredType t) { return static_cast<Stored>(t); }
static_assert(static_cast<int>(Stored::kQ6_K) == static_cast<int>(StoredType::kQ6_K));

// The scales of a weight, seen from its element (row, col).
inline Scales scales_at(const Weight& w, int64_t row, int64_t col) {
  const ScaleGrid& s = w.scales;
  return {s.data, stored(s.type), s.block_rows, s.block_cols, s.across, s.row + row, col};
}

}  // namespace headzip::cpu
