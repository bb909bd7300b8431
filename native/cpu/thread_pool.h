// Persistent worker threads. One pool a process: concurrent jobs take turns at the granularity of one operation.
#pragma once
#include <cstdint>
#include <functional>

namespace headzip::cpu {

class ThreadPool {
 public:
  static ThreadPool& instance();
  int size() const;  // threads that can work at once, the caller counted

  // Calls fn(task, thread) for every task in [0, tasks), on at most `threads` threads (0: all), the caller's among
  // them. Tasks are handed out in order; thread < size(). fn must not throw.
  void run(int64_t tasks, int threads, const std::function<void(int64_t task, int thread)>& fn);

 private:
  ThreadPool();
  struct State;
  State* state_;
};

}  // namespace headzip::cpu
