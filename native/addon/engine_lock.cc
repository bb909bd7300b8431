#include "engine_lock.h"

#include <chrono>
#include <thread>

namespace headzip::addon {

namespace {

bool locked_within(std::timed_mutex& mutex, std::chrono::milliseconds time) {
#if defined(__SANITIZE_THREAD__)
  // GCC 12's thread sanitizer does not see pthread_mutex_clocklock, which the timed wait is made of: it would take every
  // job for a race with the one before.
  if (mutex.try_lock()) return true;
  std::this_thread::sleep_for(time);
  return false;
#else
  return mutex.try_lock_for(time);
#endif
}

}  // namespace

EngineLock::EngineLock(Runtime& runtime, const JobControl& control) : runtime_(runtime) {
  while (!locked_within(runtime_.mutex, std::chrono::milliseconds(20))) control.check();
}

}  // namespace headzip::addon
