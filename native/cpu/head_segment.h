// A KvSegment as one KV head's kernels read it.
#pragma once
#include "kv_layer.h"

namespace headzip::cpu {

HeadSegment head_segment(const KvSegment& segment, int64_t head);
// Its entries stand where they were appended, which under a window tells what is seen.
void by_appended_positions(HeadSegment& segment, const PositionIndex& index, int64_t head);

}  // namespace headzip::cpu
