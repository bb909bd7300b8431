// embed() and linear(): weights of every stored type against rows.
//
// A dot product of n terms has n multiplications and additions, each off by `gemm` of what is summed: whatever their order,
// the result is within n * gemm * sum |x w|. What is added to it, and the result, are rounded once each.
#include <cmath>

#include "group.h"

namespace headzip::parity {

namespace {

struct Fp8Grid {
  const char* name;
  ScaleGrid grid;
};
// By block with a first row within one, by channel, one for the tensor, none.
const Fp8Grid kGrids[] = {
    {"", {}},
    {" in blocks of 48 x 40", {.type = StoredType::kF32, .block_rows = 48, .block_cols = 40, .row = 7}},
    {" by channel", {.type = StoredType::kBF16, .block_rows = 1, .block_cols = 1 << 20}},
    {" by tensor", {.type = StoredType::kF16, .block_rows = 1 << 20, .block_cols = 1 << 20}},
};

struct Made {
  const Weight* weight;
  std::vector<double> values;  // as the backend keeps them
};

Made make(Rig& rig, StoredType type, int64_t rows, int64_t cols, const ScaleGrid& grid) {
  const Encoded encoded = random_weight(type, rows, cols, [&](int64_t end) { return rig.below(end); }, grid);
  Made made{&rig.weight(encoded, rows, cols), encoded.values};
  for (double& each : made.values) each = rig.kept(static_cast<float>(each));
  return made;
}

// Depths of whole blocks of every type; plain numbers come in odd ones, too.
std::vector<int64_t> depths(StoredType type) {
  if (block_of(type).elements == 256) return {256, 768};
  if (block_of(type).elements == 32) return {32, 96, 544};
  return {1, 40, 300, 1030};
}

struct Case {
  bool bias, add, empty_bias, stream;
};
constexpr Case kCases[] = {{false, false, false, false},
                           {true, false, false, false},
                           {false, true, false, true},
                           {true, true, false, true},
                           {false, false, true, true}};

// Several weights at once, of different heights, as q, k and v are.
void linear_case(Rig& rig, Group& group, StoredType type, const ScaleGrid& grid, int64_t rows, int64_t depth, const Case& c) {
  const std::vector<float> x = rig.random(rows * depth);
  const OwnedRows input = rig.rows(x, rows);
  std::vector<LinearParams> batch;
  std::vector<OwnedRows> outputs;
  std::vector<Expected> expected;
  for (const int64_t height : {rig.size(1), rig.size(50), rig.size(131)}) {
    const Made w = make(rig, type, height, depth, grid);
    const std::vector<float> before = rig.random(rows * height), bias = rig.random(height);
    OwnedRows& out = outputs.emplace_back(c.stream ? rig.stream(before, rows) : rig.rows(before, rows));
    const Weight* added = c.bias ? &rig.weight(bias, height, 1) : c.empty_bias ? &rig.nothing() : nullptr;
    batch.push_back({w.weight, added, out, c.add});
    Expected& e = expected.emplace_back();
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t r = 0; r < height; ++r) {
        double sum = 0, size = 0;
        for (int64_t k = 0; k < depth; ++k) {
          const double term = w.values[static_cast<size_t>(r * depth + k)] * x[static_cast<size_t>(i * depth + k)];
          sum += term, size += std::abs(term);
        }
        for (const float also :
             {c.bias ? bias[static_cast<size_t>(r)] : 0, c.add ? before[static_cast<size_t>(i * height + r)] : 0})
          sum += also, size += std::abs(also);
        e.add(sum, static_cast<double>(depth + 2) * rig.eps.gemm * size + rig.rounding(out) * std::abs(sum));
      }
  }
  rig.backend.linear(input, batch);
  for (size_t i = 0; i < batch.size(); ++i)
    group.compare(std::to_string(rows) + " rows, " + std::to_string(depth) + " deep, " + std::to_string(batch[i].weight->rows) +
                      " wide" + (c.bias ? ", bias" : "") + (c.add ? ", add" : ""),
                  rig.values(outputs[i]), expected[i]);
}

}  // namespace

void linear_cases(Rig& rig) {
  for (const StoredType type : kEveryStoredType)
    for (const Fp8Grid& grid : kGrids) {
      if (grid.grid.block_rows > 1 || *grid.name != '\0')
        if (type != StoredType::kF8_E4M3) continue;
      if (type == StoredType::kF8_E4M3 && *grid.name == '\0') continue;
      Group group(std::string("linear ") + name_of(type) + grid.name);
      size_t next = 0;
      for (const int64_t rows : {1, 3, 6, 7, 17, 65})
        for (const int64_t depth : depths(type))
          for (int round = 0; round < 2; ++round)
            linear_case(rig, group, type, grid.grid, rows, rig.size(depth), kCases[next++ % std::size(kCases)]);
    }
}

// Every number is rounded where its block's offset is added or its scale is, and once by the factor.
void embed_cases(Rig& rig) {
  Group group("embed");
  for (const StoredType type : kEveryStoredType)
    for (const float scale : {1.0f, 48.5f})
      for (const int64_t ids : {1, 17, 65}) {
        const int64_t cols = rig.size(block_of(type).elements * 3), rows = 13;
        const Made table = make(rig, type, rows, cols, type == StoredType::kF8_E4M3 ? kGrids[1].grid : ScaleGrid{});
        std::vector<int32_t> list;
        Expected expected;
        const OwnedRows out = rig.backend.stream(ids, cols);
        for (int64_t i = 0; i < ids; ++i) {
          list.push_back(static_cast<int32_t>(i == 0 ? rows - 1 : rig.below(rows)));
          for (int64_t c = 0; c < cols; ++c) {
            const double value = table.values[static_cast<size_t>(list.back() * cols + c)] * scale;
            expected.add(value, 2 * rig.rounding(out) * std::abs(value));
          }
        }
        rig.backend.embed(*table.weight, list, scale, out);
        group.compare(std::string(name_of(type)) + ", " + std::to_string(ids) + " ids", rig.values(out), expected);
      }
}

}  // namespace headzip::parity
