// The order in which the Hopper kernels meet items of work and tiles of keys, and what a tile tells those who use it.
#pragma once
#include "walk.cuh"

namespace headzip::cuda {

// Items are sorted by falling cost. Going through them forth and back gives every cluster a like sum.
__device__ __forceinline__ int item_of_round(int round, int cluster, int clusters) {
  return round * clusters + (round % 2 == 0 ? cluster : clusters - 1 - cluster);
}

// What those who use a tile of keys must know.
struct KeyTile {
  enum : uint32_t {
    kLast = 1,  // the item's last tile (of its pass)
    kLse = 2,  // with it, all keys that are in the score have been met
    kMask = 4,  // some query of the block must not see all of it: the other members say what
  };
  int first;  // key entry of the tile's first row
  int end;    // entries from here on are not to be seen
  int shift;  // a query at position p sees entries before shift + p
  uint32_t flags;
  __device__ __forceinline__ Visible visible(int window) const { return {end, shift, window}; }
};

// Tiles of kKeys keys over the segments, from the newest to the oldest: tiles that need masks come first. kScoreFirst
// meets the segments that are in the score before the others.
template <int kKeys>
class KeyTiles {
 public:
  enum class Which { kAll, kScoreFirst, kInScore, kScored };
  // Positions of the first and last query that share the tiles.
  __device__ KeyTiles(const AttentionParams& params, int kv_head, int first_position, int last_position, int window,
                      Which which)
      : params_(params), kv_head_(kv_head), first_position_(first_position), last_position_(last_position), window_(window),
        which_(which), index_(params.segments), score_(which == Which::kScoreFirst) {
    enter();
  }
  __device__ bool done() const { return index_ < 0; }
  __device__ int first() const { return at_; }
  __device__ const HeadMaps* maps() const { return params_.segment[max(index_, 0)].maps + kv_head_; }
  // With nothing to see at all, one tile with no visible key stands in.
  __device__ KeyTile tile() const {
    if (done()) return {0, 0, 0, KeyTile::kLast | (which_ == Which::kScoreFirst ? KeyTile::kLse : 0u)};
    KeyTiles next = *this;
    next.next();
    const bool lse = score_ && (next.done() || !next.score_);
    return {at_, segment_.end, segment_.visible(window_).shift,
            (next.done() ? KeyTile::kLast : 0u) | (lse ? KeyTile::kLse : 0u)};
  }
  __device__ void next() {
    at_ -= kKeys;
    if (at_ < from_) enter();
  }

 private:
  __device__ void enter() {
    for (;;) {
      if (--index_ < 0) {
        if (!score_) return;
        score_ = false;  // now the others
        index_ = params_.segments;
        continue;
      }
      const KvSegment& s = params_.segment[index_];
      if (which_ == Which::kScoreFirst && score_ != (s.in_score != 0)) continue;
      if (which_ == Which::kInScore && !s.in_score) continue;
      if (which_ == Which::kScored && !s.scored) continue;
      segment_ = head_segment(s, kv_head_, last_position_);
      from_ = max(segment_.begin, segment_.visible(window_).low(first_position_));
      if (from_ >= segment_.end) continue;
      at_ = from_ + (segment_.end - 1 - from_) / kKeys * kKeys;
      return;
    }
  }

  const AttentionParams& params_;
  int kv_head_, first_position_, last_position_, window_;
  Which which_;
  int index_, at_ = 0, from_ = 0;
  bool score_;  // of kScoreFirst: still among the segments in the score
  HeadSegment segment_{};
};

// Whether any of kRows rows from `position` on must not see all of the tile.
template <int kKeys, int kRows>
__device__ __forceinline__ bool needs_mask(const KeyTile& tile, int position, int window) {
  const Visible visible = tile.visible(window);
  return tile.first + kKeys > visible.high(position) || tile.first < visible.low(position + kRows - 1);
}

}  // namespace headzip::cuda
