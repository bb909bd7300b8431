#include "head_segment.h"

#include <algorithm>

namespace headzip::cpu {

HeadSegment head_segment(const KvSegment& s, int64_t head) {
  const auto& kv = static_cast<const CpuKvLayer&>(*s.kv);
  const int64_t length = kv.length(head), end = s.count < 0 ? length : std::min(length, s.begin + s.count);
  const int64_t first = s.from_end ? s.position - (end - 1 - s.begin) : s.position;
  return {kv.view(head), s.begin, end, first, s.in_score, s.scored, nullptr, 0, 0};
}

void by_appended_positions(HeadSegment& segment, const PositionIndex& index, int64_t head) {
  segment.positions = index.listed(head).data();
  segment.position_count = static_cast<int64_t>(index.listed(head).size());
  segment.shift = index.shift(head);
}

}  // namespace headzip::cpu
