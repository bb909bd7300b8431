// Which of a head's entries a query sees: the one rule of prefill, scoring and decoding.
#pragma once
#include "../types.h"

namespace headzip::cuda {

// Entries of a head that stand one after another: entry e at position e + 1 - shift.
struct Visible {
  int end;     // entries from here on are not there
  int shift;   // a query at position p sees entries before p + shift,
  int window;  // the last so many of them; 0: all
  // Entries [low, high) are seen from `position`.
  __device__ __forceinline__ int high(int position) const { return min(end, position + shift); }
  __device__ __forceinline__ int low(int position) const { return window > 0 ? position + shift - window : INT32_MIN; }
};

// The same for a head that streams, or that lost entries under a window.
struct HeadVisible : Visible {
  int recent, sink_end;       // streaming: entries from sink_end on are seen while among the `recent` latest; 0: it does not
  const HeadPositions* gaps;  // where the entries stood when they were appended; nullptr: one after another
  __device__ __forceinline__ bool sees(int entry, int position) const {
    if (entry >= high(position)) return false;
    if (recent > 0 && entry >= sink_end && entry < position + shift - recent) return false;
    if (gaps == nullptr) return entry >= low(position);
    return (entry < gaps->count ? gaps->positions[entry] : entry + gaps->shift) > position - window;
  }
};

}  // namespace headzip::cuda
