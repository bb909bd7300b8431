// Mapped files that are truncated, read from many threads: run under the address and undefined-behaviour sanitizers by
// programs.test.ts.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "check.h"
#include "error.h"
#include "weights/mapped_file.h"

using namespace headzip;
using test::expect;
using test::refused;

namespace {

const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
constexpr const char* kLost = "load the model again once the file is whole";
int checks = 0;

// A file of `pages` pages of the byte 7, gone with this object.
struct Scratch {
  explicit Scratch(size_t pages) {
    const char* folder = std::getenv("TMPDIR");
    path = std::string(folder != nullptr ? folder : "/tmp") + "/headzip-guard-XXXXXX";
    fd = ::mkstemp(path.data());
    const std::string bytes(pages * page, 7);
    if (::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  ~Scratch() {
    ::close(fd);
    ::unlink(path.c_str());
  }
  void cut(size_t bytes) const {
    if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) std::abort();
  }
  std::string path;
  int fd;
};

int at(const MappedFile& file, size_t offset) {
  return static_cast<int>(const_cast<const volatile std::byte*>(file.data())[offset]);
}

void a_page_that_is_gone_reads_as_zeros() {
  const Scratch scratch(64), other(4);
  const auto file = MappedFile::open(scratch.path), whole = MappedFile::open(other.path);
  scratch.cut(8 * page);
  file->check_read();  // nothing was read yet
  expect(at(*file, 8 * page - 1) == 7, "what is left is read");
  file->check_read();
  expect(at(*file, 40 * page + 5) == 0 && at(*file, 63 * page) == 0, "what is gone reads as zeros");
  expect(at(*file, 9 * page) == 0, "what is gone before that, too");
  for (int round = 0; round < 2; ++round) refused<Error>([&] { file->check_read(); }, kLost, "a file that was read short");
  scratch.cut(64 * page);
  refused<Error>([&] { file->check_size(); }, kLost, "a file that grew again");
  whole->check_size();
  expect(at(*whole, 3 * page) == 7, "another file is as it was");
  checks += 7;
}

void a_last_page_that_is_short_faults_nowhere() {
  const Scratch scratch(2);
  const auto file = MappedFile::open(scratch.path);
  scratch.cut(2 * page - 10);
  expect(at(*file, 2 * page - 1) == 0, "the rest of the last page is zeros");
  file->check_read();
  refused<Error>([&] { file->check_size(); }, kLost, "a file that is 10 bytes short");
  refused<Error>([&] { file->check_read(); }, kLost, "and it stays so");
  checks += 3;
}

void threads_meet_it_together() {
  constexpr size_t kPages = 256;
  const Scratch scratch(kPages);
  const auto file = MappedFile::open(scratch.path);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = t; !stop; i = (i * 5 + 3) % kPages)
        if (const int value = at(*file, i * page + t); value != 7 && value != 0) ++wrong;
    });
  for (size_t left = kPages; left > 0; left /= 2) {
    scratch.cut(left * page);
    ::usleep(2000);
  }
  scratch.cut(0);
  while (at(*file, 0) != 0) {
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  expect(wrong == 0, "every byte is the file's or zero");
  refused<Error>([&] { file->check_read(); }, kLost, "the file");
  checks += 2;
}

void mappings_come_and_go() {
  for (int round = 0; round < 200; ++round) {
    const Scratch scratch(3);
    const auto file = MappedFile::open(scratch.path);
    if (round % 2 == 0) scratch.cut(page);
    expect(at(*file, 2 * page) == (round % 2 == 0 ? 0 : 7), "a file is told by itself");
    if (round % 2 == 0) refused<Error>([&] { file->check_read(); }, kLost, "a file among many");
    else file->check_size();
    ++checks;
  }
}

void a_file_that_changed_is_known() {
  const auto patched = [](size_t offset) {
    const Scratch scratch(8);
    const auto file = MappedFile::open(scratch.path);
    file->seal({{0, 100}, {5 * page, 64}});
    file->check_unchanged();
    struct timespec times[2] = {{0, UTIME_OMIT}, {1000, 0}};
    if (offset == 0) {
      ::futimens(scratch.fd, times);
    } else {
      struct stat before{};
      ::fstat(scratch.fd, &before);
      if (::pwrite(scratch.fd, "x", 1, static_cast<off_t>(offset)) != 1) std::abort();
      times[1] = before.st_mtim;
      ::futimens(scratch.fd, times);
    }
    file->check_unchanged();
  };
  for (const size_t offset : {size_t{0}, size_t{99}, 5 * page + 63})
    refused<Error>([&] { patched(offset); }, "load the model again", "a change at " + std::to_string(offset));
  patched(100);  // beside what was sealed, with the time put back: nobody can know
  checks += 4;
}

sigjmp_buf back;

void faults_of_others_go_to_their_handler() {
  const Scratch scratch(2);
  void* const foreign = ::mmap(nullptr, 2 * page, PROT_READ, MAP_PRIVATE, scratch.fd, 0);
  scratch.cut(0);
  if (sigsetjmp(back, 1) == 0) {
    (void)static_cast<volatile char*>(foreign)[page];
    expect(false, "a mapping that nobody guards faults");
  }
  if (sigsetjmp(back, 1) == 0) {
    ::raise(SIGBUS);
    expect(false, "a signal that was sent arrives");
  }
  ::munmap(foreign, 2 * page);
  checks += 2;
}

}  // namespace

int main() {
  // Before any file is mapped, as another library's handler would be.
  struct sigaction theirs{};
  theirs.sa_handler = [](int) { siglongjmp(back, 1); };
  ::sigaction(SIGBUS, &theirs, nullptr);
  a_page_that_is_gone_reads_as_zeros();
  a_last_page_that_is_short_faults_nowhere();
  threads_meet_it_together();
  mappings_come_and_go();
  a_file_that_changed_is_known();
  faults_of_others_go_to_their_handler();
  return test::report(checks);
}
