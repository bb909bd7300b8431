#include "file_lock.h"

#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "args.h"

namespace headzip::addon {

Napi::Value try_lock(const Napi::CallbackInfo& info) {
  const int64_t fd = integer(info[0], "fd");
  if (fd < 0 || fd > std::numeric_limits<int>::max()) refuse(info.Env(), "fd must be an open file descriptor");
  int result;
  do result = ::flock(static_cast<int>(fd), LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  if (result == 0) return Napi::Boolean::New(info.Env(), true);
  if (errno == EWOULDBLOCK) return Napi::Boolean::New(info.Env(), false);
  throw engine_error(info.Env(), std::string("flock: ") + std::strerror(errno));
}

}  // namespace headzip::addon
