#include "kv_layer.h"

#include "../error.h"

namespace headzip {

void KvLayer::set_window(int64_t head, Window window) {
  index_.set_window(head, window);
  changed();
}

void KvLayer::reserve(int64_t tokens) {
  for (int64_t h = 0; h < heads(); ++h) {
    const int64_t needed = length(h) + tokens;
    if (needed <= capacity(h)) continue;
    move_entries(h, *this, Entries::first(length(h)), roomy(h, needed));
    changed();
  }
}

void KvLayer::grow(int64_t tokens) {
  index_.append(tokens);
  grown();
}

void KvLayer::retain(int64_t head, std::span<const int64_t> entries) {
  index_.check_entries(head, entries);
  move_entries(head, *this, Entries::of(entries), static_cast<int64_t>(entries.size()));
  index_.keep_from(index_, head, entries, index_.appended(head));
  changed();
}

void KvLayer::truncate(int64_t head, int64_t length) {
  if (this->length(head) == length) return;
  index_.truncate(head, length);
  changed();
}

std::unique_ptr<KvLayer> KvLayer::gather(std::span<const std::vector<int64_t>> entries, int64_t appended) const {
  if (static_cast<int64_t>(entries.size()) != heads()) throw Error("a list of entries is needed for every head");
  auto kept = empty();
  for (int64_t h = 0; h < heads(); ++h) {
    const auto& list = entries[static_cast<size_t>(h)];
    kept->index_.keep_from(index_, h, list, appended);
    kept->move_entries(h, *this, Entries::of(list), static_cast<int64_t>(list.size()));
  }
  kept->changed();
  return kept;
}

void KvLayer::extend(const KvLayer& tail) {
  if (tail.heads() != heads() || tail.format_ != format_) throw Error("layers of different shapes cannot be joined");
  reserve(tail.index_.longest());
  append_entries(tail);
  for (int64_t h = 0; h < heads(); ++h) index_.append(h, tail.length(h));
  changed();
}

void KvLayer::resize(int64_t head, int64_t length, int64_t appended) {
  move_entries(head, *this, Entries::first(0), length);
  index_.resize(head, length, appended);
  changed();
}

void KvLayer::check_range(int64_t head, int64_t from, int64_t count) const {
  if (head < 0 || head >= heads() || from < 0 || count < 0 || from + count > length(head))
    throw Error("these entries are not in the cache");
}

void KvLayer::read(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const {
  check_range(head, from, count);
  read_bytes(head, from, count, k, v);
}

void KvLayer::write(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v,
                    const int32_t* positions) {
  check_range(head, from, count);
  index_.set_positions(head, from, {positions, static_cast<size_t>(count)});
  write_bytes(head, from, count, k, v);
  changed();
}

std::unique_ptr<LayerState> KvLayer::clone() const {
  auto copy = empty();
  for (int64_t h = 0; h < heads(); ++h) copy->move_entries(h, *this, Entries::first(length(h)), length(h));
  copy->index_ = index_;
  copy->changed();
  return copy;
}

}  // namespace headzip
