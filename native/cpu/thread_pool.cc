#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace headzip::cpu {

struct ThreadPool::State {
  std::mutex turn;  // one run() at a time
  std::mutex mutex;
  std::condition_variable wake, finished;
  uint64_t generation = 0;
  std::atomic<uint64_t> ticket{0};  // generation, to be read without the lock
  int working = 0;   // workers that still may touch the current job
  int admitted = 0;  // workers allowed to join it
  const std::function<void(int64_t, int)>* fn = nullptr;
  std::atomic<int64_t> next{0};
  int64_t tasks = 0;
  int size = 1;

  void drain(int thread) {
    for (int64_t t; (t = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) (*fn)(t, thread);
  }

  // The next operation of a job follows within microseconds: looking out for it costs less than being woken.
  void look_out(uint64_t seen) const {
    for (int i = 0; i < 4000 && ticket.load(std::memory_order_acquire) == seen; ++i) relax();
  }
  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  void worker(int thread) {
    for (uint64_t seen = 0;;) {
      look_out(seen);
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return generation != seen; });
      seen = generation;
      if (thread > admitted) continue;
      lock.unlock();
      drain(thread);
      lock.lock();
      if (--working == 0) finished.notify_one();
    }
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
  const int helpers = static_cast<int>(std::min<int64_t>(threads > 0 ? std::min(threads, s.size) : s.size, tasks)) - 1;
  std::lock_guard turn(s.turn);
  s.fn = &fn;
  s.tasks = tasks;
  s.next.store(0, std::memory_order_relaxed);
  if (helpers == 0) return s.drain(0);
  {
    std::lock_guard lock(s.mutex);
    s.ticket.store(++s.generation, std::memory_order_release);
    s.working = s.admitted = helpers;
  }
  s.wake.notify_all();
  s.drain(0);
  std::unique_lock lock(s.mutex);
  s.finished.wait(lock, [&] { return s.working == 0; });
}

}  // namespace headzip::cpu
