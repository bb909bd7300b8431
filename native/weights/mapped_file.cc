#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "../error.h"

namespace headzip {

namespace {

timespec changed_at(const struct stat& info) {
#ifdef __APPLE__
  return info.st_mtimespec;
#else
  return info.st_mtim;
#endif
}

// FNV-1a: tells files apart that nobody made to look alike.
constexpr uint64_t kHashStart = 0xcbf29ce484222325ull, kHashPrime = 0x100000001b3ull;

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error("cannot open " + path + ": " + std::strerror(errno));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(fd);
    throw Error(path + " is not a regular file with content");
  }
  const auto size = static_cast<size_t>(info.st_size);
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) {
    const int why = errno;
    ::close(fd);
    throw Error("cannot map " + path + ": " + std::strerror(why));
  }
  return std::shared_ptr<MappedFile>(new MappedFile(path, fd, static_cast<const std::byte*>(at), size, changed_at(info)));
}

MappedFile::MappedFile(std::string path, int fd, const std::byte* data, size_t size, timespec changed)
    : path_(std::move(path)), fd_(fd), data_(data), size_(size), changed_(changed), guard_(std::in_place, data, size) {}

MappedFile::~MappedFile() {
  guard_.reset();  // the addresses may be another mapping's from here on
  ::munmap(const_cast<std::byte*>(data_), size_);
  ::close(fd_);
}

void MappedFile::check_read() const {
  if (guard_->lost()) lost_ = true;
  if (lost_)
    throw Error(path_ +
                " was truncated while it was being read, or its disk failed; load the model again once the file is whole");
}

void MappedFile::check_size() const {
  struct stat info{};
  if (::fstat(fd_, &info) != 0 || static_cast<size_t>(info.st_size) < size_) lost_ = true;
  check_read();
}

std::optional<uint64_t> MappedFile::hash(const std::vector<FileSpan>& spans) const {
  std::vector<unsigned char> piece(size_t{1} << 16);
  uint64_t hash = kHashStart;
  for (FileSpan span : spans)
    while (span.bytes > 0) {
      const ssize_t got =
          ::pread(fd_, piece.data(), std::min<uint64_t>(piece.size(), span.bytes), static_cast<off_t>(span.offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return std::nullopt;
      for (ssize_t i = 0; i < got; ++i) hash = (hash ^ piece[static_cast<size_t>(i)]) * kHashPrime;
      span.offset += static_cast<uint64_t>(got);
      span.bytes -= static_cast<uint64_t>(got);
    }
  return hash;
}

void MappedFile::seal(std::vector<FileSpan> spans) {
  hash_ = hash(spans);
  spans_ = std::move(spans);
  check_size();
}

void MappedFile::check_unchanged() const {
  check_size();
  struct stat info{};
  const bool known = ::fstat(fd_, &info) == 0;
  const timespec changed = changed_at(info);
  if (known && static_cast<size_t>(info.st_size) == size_ && changed.tv_sec == changed_.tv_sec &&
      changed.tv_nsec == changed_.tv_nsec && hash(spans_) == hash_)
    return;
  throw Error(
      path_ +
      " was changed after the model was loaded: what is computed with it is no longer that model's; load the model again");
}

}  // namespace headzip
