// Which keys a tile of queries meets, block by block: its segments, cut where causality ends them.
#pragma once
#include "visible.cuh"

namespace headzip::cuda {

// A segment as one KV head sees it.
struct HeadSegment {
  const bf16* k;
  const bf16* v;
  int begin, end;     // keys that some query of the tile may see
  int last;           // keys that exist
  int position;       // of key `begin`
  bool in_score, scored;
  __device__ __forceinline__ Visible visible(int window) const { return {end, begin - position + 1, window}; }
};

__device__ __forceinline__ HeadSegment head_segment(const KvSegment& s, int kv_head, int last_position) {
  const int end = s.ends == nullptr ? s.end : s.ends[kv_head];
  const int position = s.ends == nullptr ? s.position : s.position - (end - 1 - s.begin);
  const int seen = min(end, s.begin + max(0, last_position - position + 1));
  return {s.heads[kv_head].k, s.heads[kv_head].v, s.begin, seen, end, position, s.in_score != 0, s.scored != 0};
}

// Walks blocks of `size` keys over the segments that pass the filter.
template <int kSize>
class KeyWalk {
 public:
  enum class Which { kAll, kInScore, kScored };
  // Positions of the first and last query of the tile; a window masks what lies further back than that from each.
  __device__ KeyWalk(const AttentionParams& params, int kv_head, int first_position, int last_position, int window, Which which)
      : params_(params), kv_head_(kv_head), first_position_(first_position), last_position_(last_position), window_(window),
        which_(which) {
    enter();
  }
  __device__ bool done() const { return index_ >= params_.segments; }
  __device__ const HeadSegment& segment() const { return segment_; }
  __device__ int first() const { return at_; }
  __device__ void next() {
    at_ += kSize;
    if (at_ < segment_.end) return;
    ++index_;
    enter();
  }

 private:
  __device__ void enter() {
    for (; index_ < params_.segments; ++index_) {
      const KvSegment& s = params_.segment[index_];
      if (which_ == Which::kInScore && !s.in_score) continue;
      if (which_ == Which::kScored && !s.scored) continue;
      segment_ = head_segment(s, kv_head_, last_position_);
      at_ = max(segment_.begin, segment_.visible(window_).low(first_position_));
      if (at_ < segment_.end) return;
    }
  }

  const AttentionParams& params_;
  int kv_head_, first_position_, last_position_, window_, index_ = 0, at_ = 0;
  Which which_;
  HeadSegment segment_{};
};

}  // namespace headzip::cuda
