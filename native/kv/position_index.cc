#include "position_index.h"

#include <algorithm>

#include "../error.h"

namespace headzip {

int64_t PositionIndex::longest() const {
  int64_t most = 0;
  for (const Head& h : heads_) most = std::max(most, h.length);
  return most;
}

int64_t PositionIndex::entries() const {
  int64_t all = 0;
  for (const Head& h : heads_) all += h.length;
  return all;
}

int64_t PositionIndex::position(int64_t head, int64_t index) const {
  const Head& h = at(head);
  return static_cast<size_t>(index) < h.listed.size() ? h.listed[static_cast<size_t>(index)] : index + h.shift;
}

int64_t PositionIndex::before(int64_t head, int64_t position) const {
  const Head& h = at(head);
  const auto listed = static_cast<int64_t>(h.listed.size());
  const int64_t low = std::lower_bound(h.listed.begin(), h.listed.end(), position) - h.listed.begin();
  return low < listed ? low : std::clamp(position - h.shift, listed, h.length);
}

bool PositionIndex::contiguous(int64_t head) const {
  const int64_t n = length(head);
  return n == 0 || at(head).listed.empty() || position(head, n - 1) - position(head, 0) == n - 1;
}

bool PositionIndex::all_contiguous() const {
  for (int64_t h = 0; h < heads(); ++h)
    if (!contiguous(h)) return false;
  return true;
}

bool PositionIndex::uniform() const {
  return std::all_of(heads_.begin(), heads_.end(), [&](const Head& h) { return h.length == heads_.front().length; });
}

bool PositionIndex::streams() const {
  return std::any_of(heads_.begin(), heads_.end(), [](const Head& h) { return h.window.recent > 0; });
}

void PositionIndex::append(int64_t tokens) {
  for (Head& h : heads_) h.length += tokens;
}

void PositionIndex::check_entries(int64_t head, std::span<const int64_t> entries) const {
  const int64_t most = length(head);
  for (size_t i = 0; i < entries.size(); ++i)
    if (entries[i] < 0 || entries[i] >= most || (i > 0 && entries[i] <= entries[i - 1]))
      throw Error("entries to keep must be ascending positions of the cache");
}

void PositionIndex::keep_from(const PositionIndex& from, int64_t head, std::span<const int64_t> entries, int64_t appended) {
  from.check_entries(head, entries);
  std::vector<int32_t> listed;
  listed.reserve(entries.size());
  for (const int64_t i : entries) listed.push_back(static_cast<int32_t>(from.position(head, i)));
  Head& h = at(head);
  h.length = static_cast<int64_t>(entries.size());
  h.shift = appended - h.length;
  h.listed = std::move(listed);
}

void PositionIndex::truncate(int64_t head, int64_t length) {
  Head& h = at(head);
  if (length < 0 || length > h.length) throw Error("a cache can only be cut to a length that it has reached");
  h.length = length;
  if (static_cast<size_t>(length) < h.listed.size()) h.listed.resize(static_cast<size_t>(length));
}

void PositionIndex::resize(int64_t head, int64_t length, int64_t appended) {
  Head& h = at(head);
  h.length = length;
  h.shift = appended - length;
  h.listed.assign(static_cast<size_t>(length), 0);
}

void PositionIndex::set_positions(int64_t head, int64_t from, std::span<const int32_t> positions) {
  Head& h = at(head);
  if (from < 0 || static_cast<size_t>(from) + positions.size() > h.listed.size())
    throw Error("these entries are not in the cache");
  std::copy(positions.begin(), positions.end(), h.listed.begin() + from);
}

}  // namespace headzip
