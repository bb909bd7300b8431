// Keys (rotated) and values of one layer: (kv_heads, length of that head, head_dim). Lengths differ between heads. What
// can be done to entries is written here once; a backend owns the bytes and knows how to move them.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "kv_format.h"
#include "layer_state.h"
#include "position_index.h"

namespace headzip {

class KvLayer : public LayerState {
 public:
  KvLayer(int64_t kv_heads, const KvFormat& format) : index_(kv_heads), format_(format) {}

  KvLayer* kv() override { return this; }
  const PositionIndex& index() const { return index_; }
  const KvFormat& format() const { return format_; }
  int64_t heads() const { return index_.heads(); }
  int64_t head_dim() const { return format_.head_dim; }
  int64_t length(int64_t head) const { return index_.length(head); }
  Window window(int64_t head) const { return index_.window(head); }
  int64_t position(int64_t head, int64_t entry) const { return index_.position(head, entry); }

  void set_window(int64_t head, Window window);
  // Makes room for `tokens` more entries in every head, without changing lengths.
  void reserve(int64_t tokens);
  // Entries that were written behind the last one of every head now belong to the layer.
  void grow(int64_t tokens);
  // Keeps these entries (ascending) of one head and frees the rest.
  void retain(int64_t head, std::span<const int64_t> entries);
  // Forgets everything past `length` of one head.
  void truncate(int64_t head, int64_t length);
  // A layer of its own with entries[head] (ascending) of every head, as if `appended` entries had ever been appended to
  // it, and without windows.
  std::unique_ptr<KvLayer> gather(std::span<const std::vector<int64_t>> entries, int64_t appended) const;
  // Appends every head's entries of a layer of the same shape.
  void extend(const KvLayer& tail);
  // Replaces a head by `length` entries of zeros, to be written, as if `appended` had ever been appended.
  void resize(int64_t head, int64_t length, int64_t appended);
  // Entries [from, from + count) of one head out to host memory and back, (count, head_dim) keys and values in the
  // layer's own element types. write() may only overwrite: lengths are set by resize(); `positions` are theirs.
  void read(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const;
  void write(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v, const int32_t* positions);

  std::unique_ptr<LayerState> clone() const override;
  size_t used_bytes() const override { return static_cast<size_t>(index_.entries()) * format_.entry_bytes(); }

 protected:
  // Entries of a head: the listed ones, or the first `count` where there is no list.
  struct Entries {
    std::span<const int64_t> list;
    int64_t count;
    static Entries of(std::span<const int64_t> list) { return {list, static_cast<int64_t>(list.size())}; }
    static Entries first(int64_t count) { return {{}, count}; }
  };
  // An empty layer of this shape in the same memory, with next to no room.
  virtual std::unique_ptr<KvLayer> empty() const = 0;
  virtual int64_t capacity(int64_t head) const = 0;
  // Room that a head of `needed` entries is given, for growing token by token to stay cheap.
  virtual int64_t roomy(int64_t head, int64_t needed) const = 0;
  // The one eviction primitive: a new buffer of `capacity` entries for `head`, which starts with these entries of
  // `from`'s head and is zero past them. `from` may be *this.
  virtual void move_entries(int64_t head, const KvLayer& from, const Entries& entries, int64_t capacity) = 0;
  // Copies the first `count` entries of `from`'s heads behind this layer's; there is room.
  virtual void append_entries(const KvLayer& from) = 0;
  virtual void read_bytes(int64_t head, int64_t from, int64_t count, std::byte* k, std::byte* v) const = 0;
  virtual void write_bytes(int64_t head, int64_t from, int64_t count, const std::byte* k, const std::byte* v) = 0;
  // The index changed by anything but grow(), or by grow().
  virtual void changed() {}
  virtual void grown() {}

 private:
  void check_range(int64_t head, int64_t from, int64_t count) const;

  PositionIndex index_;
  KvFormat format_;
};

}  // namespace headzip
