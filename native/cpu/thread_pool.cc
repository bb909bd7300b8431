#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>

namespace headzip::cpu {

namespace {
// A round of tasks in one word: its number above, the next task below. A claim is a compare-and-swap of the whole word,
// so that a thread that slept through a round can't take a task of it, nor read one round's function for another's.
constexpr uint64_t kRound = uint64_t{1} << 32, kTask = kRound - 1;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}
}  // namespace

struct ThreadPool::State {
  std::mutex run_mutex;  // one run() at a time
  std::atomic<uint64_t> claim{kTask};
  std::atomic<const std::function<void(int64_t, int)>*> fn{nullptr};
  std::atomic<uint32_t> tasks{0};
  std::atomic<int> team{0};  // threads that may join the round, the caller counted
  std::atomic<uint32_t> done{0};
  std::atomic<int> asleep{0};
  std::mutex mutex;  // of sleepers
  std::condition_variable wake;
  int size = 1;

  // Whether a task is waiting for this thread.
  bool waiting(int thread) const {
    const uint64_t now = claim.load();
    return (now & kTask) != kTask && thread < team.load() && (now & kTask) < tasks.load();
  }

  void drain(int thread) {
    for (uint64_t now = claim.load(); (now & kTask) != kTask;) {
      const auto* call = fn.load();
      const uint32_t count = tasks.load();
      if (thread >= team.load() || (now & kTask) >= count) return;
      // Success means that the round has not changed since `now` was read: function and count are its own.
      if (!claim.compare_exchange_weak(now, now + 1)) continue;
      (*call)(static_cast<int64_t>(now & kTask), thread);
      if (done.fetch_add(1) + 1 == count) done.notify_one();
      now = claim.load();
    }
  }

  void worker(int thread) {
    for (;;) {
      // The next operation of a job follows within microseconds: looking out for it costs less than being woken.
      for (int i = 0; i < 4000 && !waiting(thread); ++i) relax();
      if (!waiting(thread)) {
        std::unique_lock lock(mutex);
        ++asleep;
        wake.wait(lock, [&] { return waiting(thread); });
        --asleep;
      }
      drain(thread);
    }
  }

  void round(uint32_t count, int threads, const std::function<void(int64_t, int)>& call) {
    const uint64_t next = (claim.load() | kTask) + kRound;
    claim.store(next);  // closes the last round before anything of it is overwritten
    fn.store(&call);
    tasks.store(count);
    team.store(threads);
    done.store(0);
    claim.store(next & ~kTask);
    if (asleep.load() > 0) {
      {
        std::lock_guard lock(mutex);
      }  // who is about to sleep either saw this round or is woken
      wake.notify_all();
    }
    drain(0);
    for (int i = 0; i < 4000 && done.load() != count; ++i) relax();
    for (uint32_t now; (now = done.load()) != count;) done.wait(now);
  }
};

ThreadPool& ThreadPool::instance() {
  // Never destroyed: its threads wait on its members until the process ends, also while other statics are torn down.
  static auto* pool = new ThreadPool;
  return *pool;
}

ThreadPool::ThreadPool() : state_(new State) {
  state_->size = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 256u));
  for (int i = 1; i < state_->size; ++i) std::thread([s = state_, i] { s->worker(i); }).detach();
}

int ThreadPool::size() const { return state_->size; }

void ThreadPool::run(int64_t tasks, int threads, const std::function<void(int64_t, int)>& fn) {
  State& s = *state_;
  if (tasks <= 0) return;
  const auto team = static_cast<int>(std::min<int64_t>(threads > 0 ? std::min(threads, s.size) : s.size, tasks));
  if (team == 1) {
    for (int64_t t = 0; t < tasks; ++t) fn(t, 0);
    return;
  }
  std::lock_guard lock(s.run_mutex);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  for (int64_t first = 0; first < tasks; first += kMost) {
    const std::function<void(int64_t, int)> shifted = [&](int64_t task, int thread) { fn(first + task, thread); };
    s.round(static_cast<uint32_t>(std::min(kMost, tasks - first)), team, first == 0 ? fn : shifted);
  }
}

}  // namespace headzip::cpu
