// Positions of entries: directed cases, then a long random row of changes beside plain lists.
#include "kv/position_index.h"

#include <algorithm>
#include <limits>
#include <random>

#include "error.h"
#include "unit.h"

namespace headzip::test {

namespace {

void a_new_index_is_contiguous() {
  PositionIndex index(3);
  expect(index.heads() == 3 && index.longest() == 0 && index.entries() == 0 && index.uniform() && index.all_contiguous() &&
             !index.streams(),
         "a new index is empty, uniform and without gaps");
  index.append(7);
  index.append(1, 2);
  expect(index.length(0) == 7 && index.length(1) == 9 && index.longest() == 9 && index.entries() == 23, "lengths add up");
  expect(!index.uniform() && index.all_contiguous(), "heads of different lengths have no gaps for it");
  expect(index.position(1, 8) == 8 && index.before(1, 5) == 5 && index.before(1, 50) == 9 && index.before(1, -3) == 0,
         "an entry stands at its index");
  expect(index.listed(0).empty() && index.shift(0) == 0 && index.appended(1) == 9, "nothing is listed before an eviction");
}

void kept_entries_stand_where_they_were_appended() {
  PositionIndex index(2);
  index.append(10);
  const std::vector<int64_t> kept{0, 1, 5, 9};
  index.keep_from(index, 0, kept, index.appended(0));
  expect(index.length(0) == 4 && index.shift(0) == 6 && index.appended(0) == 10, "four of ten are left, ten were appended");
  expect(index.position(0, 2) == 5 && index.position(0, 3) == 9 && !index.contiguous(0) && index.contiguous(1),
         "with gaps between them");
  index.append(2);
  expect(index.position(0, 4) == 10 && index.position(0, 5) == 11 && index.position(1, 10) == 10,
         "what comes stands behind all that ever came");
  expect(index.before(0, 0) == 0 && index.before(0, 5) == 2 && index.before(0, 6) == 3 && index.before(0, 10) == 4 &&
             index.before(0, 11) == 5 && index.before(0, 100) == 6,
         "entries before a position");
  // The newest entries alone stand one after another again.
  const std::vector<int64_t> newest{4, 5};
  index.keep_from(index, 0, newest, index.appended(0));
  expect(index.contiguous(0) && index.position(0, 0) == 10 && index.before(0, 10) == 0 && index.before(0, 11) == 1,
         "a run within the positions has no gaps");
  const std::vector<int64_t> none;
  index.keep_from(index, 0, none, index.appended(0));
  expect(index.length(0) == 0 && index.contiguous(0) && index.appended(0) == 12 && index.before(0, 5) == 0,
         "nothing is left, and twelve were appended");
  index.append(0, 1);
  expect(index.position(0, 0) == 12, "the next one stands at twelve");
}

void keeping_from_another_index() {
  PositionIndex from(1), to(1);
  from.append(20);
  to.set_window(0, {4, 8});
  const std::vector<int64_t> kept{3, 19};
  to.keep_from(from, 0, kept, 30);
  expect(to.position(0, 0) == 3 && to.position(0, 1) == 19 && to.appended(0) == 30 && from.length(0) == 20,
         "positions come from the other, which stays");
  expect(to.window(0).sink == 4 && to.window(0).recent == 8 && to.streams(), "the window stays its own");
}

void truncation_takes_positions_back() {
  PositionIndex index(1);
  index.append(6);
  index.keep_from(index, 0, std::vector<int64_t>{0, 4, 5}, 6);
  index.append(3);
  index.truncate(0, 4);
  expect(index.length(0) == 4 && index.position(0, 3) == 6 && index.appended(0) == 7, "entries past a length are forgotten");
  index.append(1);
  expect(index.position(0, 4) == 7, "and their positions are given again");
  index.truncate(0, 2);
  expect(index.listed(0).size() == 2 && index.position(0, 1) == 4, "listed ones, too");
  index.truncate(0, 2);
  for (const int64_t bad : {int64_t{-1}, int64_t{3}, std::numeric_limits<int64_t>::max()})
    refused<Error>([&] { index.truncate(0, bad); }, "to a length that it has reached", "a length of " + std::to_string(bad));
}

void positions_that_are_written() {
  PositionIndex index(1);
  index.append(3);
  index.resize(0, 4, 9);
  expect(index.length(0) == 4 && index.appended(0) == 9, "a head is made for its entries");
  const std::vector<int32_t> first{1, 3}, second{7, 8};
  index.set_positions(0, 0, first);
  index.set_positions(0, 2, second);
  expect(index.position(0, 1) == 3 && index.position(0, 3) == 8 && index.before(0, 8) == 3, "positions are as written");
  for (const int64_t bad : {int64_t{-1}, int64_t{3}, int64_t{4}})
    refused<Error>([&] { index.set_positions(0, bad, first); }, "these entries are not in the cache",
                   "positions from " + std::to_string(bad));
}

void entries_are_checked() {
  PositionIndex index(1);
  index.append(5);
  for (const std::vector<int64_t>& bad :
       {std::vector<int64_t>{-1}, {5}, {2, 2}, {3, 1}, {0, std::numeric_limits<int64_t>::max()}}) {
    refused<Error>([&] { index.check_entries(0, bad); }, "ascending positions of the cache", "entries that cannot be kept");
    refused<Error>([&] { index.keep_from(index, 0, bad, 5); }, "ascending positions of the cache", "keeping them");
  }
  expect(index.length(0) == 5 && index.contiguous(0), "what is refused changes nothing");
  index.check_entries(0, std::vector<int64_t>{});
  index.check_entries(0, std::vector<int64_t>{0, 4});
}

void a_long_row_of_changes() {
  std::mt19937 random(7);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  for (int run = 0; run < 50; ++run) {
    PositionIndex index(2);
    std::vector<int64_t> positions[2];
    int64_t next[2] = {0, 0};
    for (int round = 0; round < 60; ++round) {
      const int64_t h = below(2);
      std::vector<int64_t>& list = positions[h];
      if (below(2) == 0) {
        const int64_t tokens = below(9);
        index.append(h, tokens);
        for (int64_t i = 0; i < tokens; ++i) list.push_back(next[h]++);
      } else if (below(2) == 0) {
        std::vector<int64_t> kept, left;
        for (size_t i = 0; i < list.size(); ++i)
          if (below(3) > 0) kept.push_back(static_cast<int64_t>(i)), left.push_back(list[i]);
        index.keep_from(index, h, kept, index.appended(h));
        list = left;
      } else {
        const int64_t length = below(static_cast<int64_t>(list.size()) + 1);
        next[h] -= static_cast<int64_t>(list.size()) - length;
        index.truncate(h, length);
        list.resize(static_cast<size_t>(length));
      }
      bool right = index.length(h) == static_cast<int64_t>(list.size()) && index.appended(h) == next[h];
      for (size_t i = 0; i < list.size() && right; ++i) right = index.position(h, static_cast<int64_t>(i)) == list[i];
      for (int64_t p = 0; p < next[h] + 2 && right; ++p)
        right = index.before(h, p) == std::lower_bound(list.begin(), list.end(), p) - list.begin();
      const bool gapless = list.empty() || list.back() - list.front() == static_cast<int64_t>(list.size()) - 1;
      expect(right && index.contiguous(h) == gapless,
             "positions after " + std::to_string(round + 1) + " changes are those of plain lists");
    }
  }
}

}  // namespace

void position_index_tests() {
  a_new_index_is_contiguous();
  kept_entries_stand_where_they_were_appended();
  keeping_from_another_index();
  truncation_takes_positions_back();
  positions_that_are_written();
  entries_are_checked();
  a_long_row_of_changes();
}

}  // namespace headzip::test
