#include "bus_guard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace headzip {

// In the handler: no locks, no allocation, nothing but atomics, mmap() and sigaction().
struct BusHandler {
  using Range = BusGuard::Range;
  static std::atomic<Range*> ranges;
  static struct sigaction before;
  static uintptr_t page;

  static bool install() {
    page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction ours{};
    ours.sa_sigaction = handle;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    return ::sigaction(SIGBUS, &ours, &before) == 0;
  }

  static void handle(int signal, siginfo_t* info, void* context) {
    const int kept = errno;
    // A signal that another process sent carries no address.
    const bool fault = info->si_code > 0;
    const bool done = fault && fill(reinterpret_cast<uintptr_t>(info->si_addr));
    errno = kept;
    if (!done) pass_on(signal, info, context);
  }

  // Puts zeros where the file has nothing: from the page at fault to the mapping's end, so that what was cut off costs one
  // fault and one mapping, not one a page.
  static bool fill(uintptr_t at) {
    for (Range* r = ranges.load(std::memory_order_acquire); r != nullptr; r = r->next) {
      if (at < r->begin || at >= r->end || !r->live.load(std::memory_order_acquire)) continue;
      const uintptr_t from = at / page * page;
      r->lost.store(true);  // before anybody can read the zeros
      return ::mmap(reinterpret_cast<void*>(from), r->end - from, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
             MAP_FAILED;
    }
    return false;
  }

  static void pass_on(int signal, siginfo_t* info, void* context) {
    if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(signal, info, context);
    if (before.sa_handler == SIG_IGN && info->si_code <= 0) return;
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    // As if there were no handler: the instruction faults again, and a signal that was sent is sent again.
    struct sigaction none{};
    none.sa_handler = SIG_DFL;
    ::sigaction(SIGBUS, &none, nullptr);
    if (info->si_code <= 0) ::raise(SIGBUS);
  }
};

std::atomic<BusGuard::Range*> BusHandler::ranges{nullptr};
struct sigaction BusHandler::before{};
uintptr_t BusHandler::page = 4096;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<void*>::is_always_lock_free);

BusGuard::BusGuard(const void* at, size_t bytes) {
  static const bool installed = BusHandler::install();
  (void)installed;
  const auto begin = reinterpret_cast<uintptr_t>(at);
  range_ = new Range{begin, begin + (bytes + BusHandler::page - 1) / BusHandler::page * BusHandler::page};
  Range* head = BusHandler::ranges.load(std::memory_order_relaxed);
  do range_->next = head;
  while (!BusHandler::ranges.compare_exchange_weak(head, range_, std::memory_order_release, std::memory_order_relaxed));
}

BusGuard::~BusGuard() { range_->live.store(false, std::memory_order_release); }

}  // namespace headzip
