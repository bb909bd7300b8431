// Errors that reach a user: one sentence, thrown as C++ exceptions and turned into JavaScript errors by native/addon.
#pragma once
#include <stdexcept>
#include <string>

namespace headzip {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A model's own arithmetic went wrong. `who`: the layer, where it is known.
struct NotFinite : Error {
  explicit NotFinite(const std::string& who = "the model")
      : Error(who + " gave a value that is not a finite number; its weights are damaged or overflow") {}
};

// The caller asked a running job to stop.
struct Aborted : Error {
  Aborted() : Error("the job was aborted") {}
};

}  // namespace headzip
