// Errors that reach a user: one sentence, thrown as C++ exceptions and turned into JavaScript errors by native/addon.
#pragma once
#include <stdexcept>
#include <string>

namespace headzip {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The caller asked a running job to stop.
struct Aborted : Error {
  Aborted() : Error("the job was aborted") {}
};

}  // namespace headzip
