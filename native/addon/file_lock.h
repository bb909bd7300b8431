// Advisory locks between processes, for files that several of them download.
#pragma once
#include <napi.h>

namespace headzip::addon {

// tryLock(fd: number): boolean. Takes the exclusive flock(2) of an open file without waiting; closing the descriptor,
// or the end of the process, gives it back.
Napi::Value try_lock(const Napi::CallbackInfo& info);

}  // namespace headzip::addon
