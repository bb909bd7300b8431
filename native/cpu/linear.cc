// Linear layers of the CPU backend: who packs what, and how the work is cut into tasks.
#include <algorithm>
#include <cstring>
#include <vector>

#include "backend.h"

namespace headzip::cpu {

namespace {

constexpr int64_t kFewRows = 6;        // up to here a weight is read once, row by row, instead of being packed
constexpr int64_t kRowsPerPart = 384;  // from here on packing a panel is a small part of multiplying it
constexpr int64_t kPanelsPerTask = 8;  // 128 columns x 512 deep: a packed block of 256 KiB stays in the L2 cache

constexpr int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to; }

// A task: some panels of one weight against some strips of x.
struct Task {
  const LinearParams* params;
  int64_t panel, panels, row, rows;
};

}  // namespace

void CpuBackend::linear(Rows x, std::span<const LinearParams> batch) {
  if (x.rows <= kFewRows) few_rows_linear(x, batch);
  else packed_linear(x, batch);
  for (const LinearParams& params : batch) {
    if (params.bias == nullptr || !*params.bias) continue;
    std::vector<float> bias(static_cast<size_t>(params.out.width));
    dequantize(k_, *params.bias, 0, params.out.width, bias.data());
    each_row(x.rows, params.out.width, [&](int64_t i) {
      float* y = floats(params.out, i);
      for (int64_t c = 0; c < params.out.width; ++c) y[c] += bias[c];
    });
  }
}

void CpuBackend::few_rows_linear(Rows x, std::span<const LinearParams> batch) {
  constexpr int64_t kRowsPerTask = 64;
  std::vector<Task> tasks;
  for (const LinearParams& params : batch)
    for (int64_t r = 0; r < params.weight->rows; r += kRowsPerTask)
      tasks.push_back({&params, r, std::min(kRowsPerTask, params.weight->rows - r), 0, 0});
  parallel(static_cast<int64_t>(tasks.size()), [&](int64_t i, int) {
    const Task& p = tasks[i];
    const Weight& w = *p.params->weight;
    const int64_t row_bytes = bytes_of(w.type, w.cols);
    k_.few_rows(stored(w.type), w.data + p.panel * row_bytes, scales_at(w, p.panel, 0), w.cols, p.panels, floats(x), x.width,
                x.rows, floats(p.params->out) + p.panel, p.params->out.width, p.params->add);
  });
}

void CpuBackend::packed_linear(Rows x, std::span<const LinearParams> batch) {
  const int64_t depth = x.width, strip = k_.strip, strips = up(x.rows, strip), blocks = up(depth, kDepthBlock);
  float* packed = scratch(packed_rows_, x.rows * depth);  // (blocks, strips, depth of the block, height)
  parallel(strips * blocks, [&](int64_t i, int) {
    const int64_t block = i / strips, row = i % strips * strip, from = block * kDepthBlock;
    const int64_t deep = std::min(kDepthBlock, depth - from);
    k_.pack_rows(floats(x, row) + from, x.width, std::min(strip, x.rows - row), deep, packed + from * x.rows + row * deep);
  });

  int64_t panels = 0;
  for (const LinearParams& params : batch) panels += up(params.weight->rows, kPanel);
  // Wide tasks re-read x seldom; narrow ones keep every thread busy. Cutting x gives more tasks, so that the threads end
  // together, but a panel is packed once more for each part.
  const int64_t each = std::clamp<int64_t>(panels / (4 * threads_) / 4 * 4, 4, kPanelsPerTask), column_tasks = up(panels, each);
  const int64_t needed = up(2 * threads_, column_tasks),
                wanted = std::min(up(8 * threads_, column_tasks), x.rows / kRowsPerPart);
  const int64_t parts = std::clamp<int64_t>(std::max(needed, wanted), 1, strips);
  std::vector<Task> tasks;
  for (const LinearParams& params : batch)
    for (int64_t p = 0, all = up(params.weight->rows, kPanel); p < all; p += each)
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t row = strips * part / parts * strip, end = std::min(x.rows, strips * (part + 1) / parts * strip);
        tasks.push_back({&params, p, std::min(each, all - p), row, end - row});
      }

  float* panel_scratch = scratch(packed_panels_, threads_ * each * kPanel * kDepthBlock);
  parallel(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
    const Task& p = tasks[i];
    const Weight& w = *p.params->weight;
    float* b = panel_scratch + thread * each * kPanel * kDepthBlock;
    const int64_t column = p.panel * kPanel, columns = std::min(p.panels * kPanel, w.rows - column);
    for (int64_t from = 0; from < depth; from += kDepthBlock) {
      const int64_t deep = std::min(kDepthBlock, depth - from);
      k_.pack_panels(stored(w.type), w.data + bytes_of(w.type, column * w.cols + from), scales_at(w, column, from), w.cols,
                     columns, deep, b);
      k_.gemm(packed + from * x.rows + p.row * deep, p.rows, b, columns, deep, floats(p.params->out, p.row) + column,
              p.params->out.width, p.params->add || from > 0);
    }
  });
}

}  // namespace headzip::cpu
