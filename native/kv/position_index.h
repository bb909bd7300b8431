// Which positions the entries of one layer's heads have, and what of them a query sees. Host only: no bytes.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace headzip {

// A head with a window is a streaming head: a query sees its first `sink` entries and those that are less than `recent`
// positions older than itself. recent == 0: no window, all is seen.
struct Window {
  int64_t sink = 0, recent = 0;
};

class PositionIndex {
 public:
  explicit PositionIndex(int64_t heads) : heads_(static_cast<size_t>(heads)) {}

  int64_t heads() const { return static_cast<int64_t>(heads_.size()); }
  int64_t length(int64_t head) const { return at(head).length; }
  int64_t longest() const;
  int64_t entries() const;  // of all heads together
  Window window(int64_t head) const { return at(head).window; }
  void set_window(int64_t head, Window window) { at(head).window = window; }
  // How many entries had been appended before entry `index` was: its position, in a cache filled from position 0.
  int64_t position(int64_t head, int64_t index) const;
  // Positions of the first entries, those that an eviction chose; later ones stand at index + shift.
  std::span<const int32_t> listed(int64_t head) const { return at(head).listed; }
  int64_t shift(int64_t head) const { return at(head).shift; }
  int64_t appended(int64_t head) const { return at(head).length + at(head).shift; }
  // Entries that stand before `position`.
  int64_t before(int64_t head, int64_t position) const;
  // Whether the head's entries stand one after another.
  bool contiguous(int64_t head) const;
  bool all_contiguous() const;
  bool uniform() const;  // all heads hold the same number of entries
  bool streams() const;  // some head has a window

  // Every head gained `tokens` entries, or one did.
  void append(int64_t tokens);
  void append(int64_t head, int64_t tokens) { at(head).length += tokens; }
  // Throws Error unless `entries` ascend and lie within the head.
  void check_entries(int64_t head, std::span<const int64_t> entries) const;
  // The head becomes these entries of `from`'s, which may be *this, as if `appended` had ever been appended; its window
  // stays. Throws as check_entries() does.
  void keep_from(const PositionIndex& from, int64_t head, std::span<const int64_t> entries, int64_t appended);
  // Throws Error for a length that the head has not reached.
  void truncate(int64_t head, int64_t length);
  // Replaces a head by `length` entries whose positions are to be set, as if `appended` had ever been appended.
  void resize(int64_t head, int64_t length, int64_t appended);
  void set_positions(int64_t head, int64_t from, std::span<const int32_t> positions);

 private:
  struct Head {
    int64_t length = 0, shift = 0;
    Window window;
    std::vector<int32_t> listed;
  };
  const Head& at(int64_t head) const { return heads_.at(static_cast<size_t>(head)); }
  Head& at(int64_t head) { return heads_.at(static_cast<size_t>(head)); }

  std::vector<Head> heads_;
};

}  // namespace headzip
