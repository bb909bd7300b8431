// Which of a segment's entries a query sees: the one rule of prefill, scoring and decoding. Included by the kernels of every
// instruction set, so everything is inlined.
#pragma once
#include "kernels.h"

namespace headzip::cpu {
namespace {

struct Visible {
  const HeadSegment& segment;
  int64_t window;  // positions that a query sees, its own among them; 0: all before it

  // A query at `position` sees entries [low, high).
  __attribute__((always_inline)) int64_t low(int64_t position) const {
    return window > 0 ? after(position - window) : segment.begin;
  }
  __attribute__((always_inline)) int64_t high(int64_t position) const { return after(position); }

 private:
  // First entry that stands after `position`.
  __attribute__((always_inline)) int64_t after(int64_t position) const {
    if (segment.positions == nullptr) return within(segment.begin + position + 1 - segment.position);
    int64_t low = 0, high = segment.position_count;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (segment.positions[middle] <= position) low = middle + 1;
      else high = middle;
    }
    if (low == segment.position_count && low < position + 1 - segment.shift) low = position + 1 - segment.shift;
    return within(low);
  }
  __attribute__((always_inline)) int64_t within(int64_t entry) const {
    const int64_t most = entry < segment.end ? entry : segment.end;
    return most > segment.begin ? most : segment.begin;
  }
};

}  // namespace
}  // namespace headzip::cpu
