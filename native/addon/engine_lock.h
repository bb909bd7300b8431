// A model on its device, and the lock that its jobs take turns by. Free of JavaScript, so that it can be tried without.
#pragma once
#include <memory>
#include <mutex>

#include "../backend.h"
#include "../error.h"
#include "../job_control.h"

namespace headzip::addon {

// A model with its device. Jobs on one engine run one at a time: they would fight for the same cores and memory.
struct Runtime {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Backend> backend;
  std::timed_mutex mutex;
};

// Held while a job runs on an engine; waiting for it ends when the job is aborted.
class EngineLock {
 public:
  EngineLock(Runtime& runtime, const JobControl& control);
  ~EngineLock() { runtime_.mutex.unlock(); }
  EngineLock(const EngineLock&) = delete;
  EngineLock& operator=(const EngineLock&) = delete;

 private:
  Runtime& runtime_;
};

// Runs a job in its turn. Throws Error where a weight file lost content before or meanwhile, whatever the job made of that.
template <typename Work>
void run_job(Runtime& runtime, const JobControl& params, Work&& work) {
  const EngineLock lock(runtime, params);
  runtime.model->check_size();
  try {
    work();
  } catch (const Aborted&) {
    throw;
  } catch (const Error&) {
    runtime.model->check_size();
    throw;
  }
  runtime.model->check_size();
}

}  // namespace headzip::addon
