// A read-only memory mapping of a weight file, and what became of the file since.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus_guard.h"

namespace headzip {

// Bytes [offset, offset + bytes) of a file.
struct FileSpan {
  uint64_t offset, bytes;
};

class MappedFile {
 public:
  // Throws Error when the file cannot be opened or mapped.
  static std::shared_ptr<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // What a file loses while it is mapped reads as zeros. Throws Error once that was so, and always from then on.
  void check_read() const;
  // The same, asking for the file's size too: the rest of its last page reads as zeros without a fault.
  void check_size() const;
  // Remembers a hash of `spans`, for check_unchanged().
  void seal(std::vector<FileSpan> spans);
  // Throws Error when the file has another size or time of its last change than when it was opened, or another hash than
  // when it was sealed.
  void check_unchanged() const;

 private:
  MappedFile(std::string path, int fd, const std::byte* data, size_t size, timespec changed);
  // Nothing where the file is too short for them.
  std::optional<uint64_t> hash(const std::vector<FileSpan>& spans) const;

  std::string path_;
  int fd_;  // of the file that is mapped, whatever its path names by now
  const std::byte* data_;
  size_t size_;
  mutable std::atomic<bool> lost_{false};
  timespec changed_;
  std::vector<FileSpan> spans_;
  std::optional<uint64_t> hash_;
  std::optional<BusGuard> guard_;
};

}  // namespace headzip
