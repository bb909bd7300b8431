// What the prebuilt addon calls of glibc under a version newer than 2.28, for the rest of the addon and for the static
// C++ runtime alike: bound to the older version where glibc keeps one, written anew where the function itself is newer.
// Hidden, so that nothing outside the addon gets them.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#define HIDDEN extern "C" __attribute__((visibility("hidden")))

// A jump, so that arguments of any kind pass through and dlopen sees its caller.
#define OLDER(name, version)                                                                                \
  asm(".symver older_" #name "," #name "@" version                                                          \
      "\n"                                                                                                  \
      ".text\n.globl " #name "\n.hidden " #name "\n.type " #name ",@function\n" #name ": jmp *older_" #name \
      "@GOTPCREL(%rip)\n.size " #name ",.-" #name "\n")

// 2.34 moved them into libc.so and gave them a second version.
OLDER(dladdr, "GLIBC_2.2.5");
OLDER(dlopen, "GLIBC_2.2.5");
OLDER(__pthread_key_create, "GLIBC_2.2.5");
OLDER(pthread_create, "GLIBC_2.2.5");
OLDER(pthread_detach, "GLIBC_2.2.5");
OLDER(pthread_join, "GLIBC_2.2.5");
OLDER(pthread_mutex_timedlock, "GLIBC_2.2.5");
OLDER(pthread_once, "GLIBC_2.2.5");
// 2.29 changed how they report errors, which nothing here reads.
OLDER(exp, "GLIBC_2.2.5");
OLDER(log, "GLIBC_2.2.5");
OLDER(log2, "GLIBC_2.2.5");

// libstdc++ counts references without atomics where this is true.
HIDDEN char __libc_single_threaded;
char __libc_single_threaded = 0;

asm(".symver older_fxstat,__fxstat@GLIBC_2.2.5");
extern "C" int older_fxstat(int version, int fd, struct stat* found);
HIDDEN int fstat(int fd, struct stat* found) noexcept { return older_fxstat(1, fd, found); }

// std::timed_mutex waits on the steady clock; older ones know the wall clock only.
HIDDEN int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until) noexcept {
  timespec now{}, wall{};
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &wall);
  constexpr long kSecond = 1'000'000'000;
  wall.tv_sec += until->tv_sec - now.tv_sec;
  wall.tv_nsec += until->tv_nsec - now.tv_nsec;
  if (wall.tv_nsec >= kSecond) wall.tv_sec += 1, wall.tv_nsec -= kSecond;
  if (wall.tv_nsec < 0) wall.tv_sec -= 1, wall.tv_nsec += kSecond;
  return pthread_mutex_timedlock(mutex, &wall);
}

#if __GLIBC_PREREQ(2, 35)
namespace {

struct Search {
  ElfW(Addr) address;
  dl_find_object* result;
};

int look_into(dl_phdr_info* object, size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  bool holds_address = false;
  void* frames = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr) & segment = object->dlpi_phdr[i];
    const ElfW(Addr) start = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_GNU_EH_FRAME) frames = reinterpret_cast<void*>(start);
    if (segment.p_type != PT_LOAD || search->address < start || search->address - start >= segment.p_memsz) continue;
    holds_address = true;
    search->result->dlfo_map_start = reinterpret_cast<void*>(start);
    search->result->dlfo_map_end = reinterpret_cast<void*>(start + segment.p_memsz);
  }
  search->result->dlfo_eh_frame = frames;
  return holds_address && frames != nullptr;
}

}  // namespace

// How libgcc finds what it needs to unwind a thrown exception. @return 0 when found, else -1
HIDDEN int _dl_find_object(void* address, dl_find_object* result) noexcept {
  *result = {};
  Search search{reinterpret_cast<ElfW(Addr)>(address), result};
  return dl_iterate_phdr(look_into, &search) != 0 ? 0 : -1;
}
#endif
