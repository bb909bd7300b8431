// Switches for debugging and for comparing kernels. Read from the environment once, when an engine opens.
#pragma once
#include <cstdlib>
#include <string_view>

namespace headzip::cuda {

enum class AttentionKernels { kBest, kPortable, kSingle, kPairs };

struct Switches {
  // HEADZIP_ATTENTION=portable keeps to the kernels that run on every GPU, =single or =pairs chooses between the Hopper ones.
  AttentionKernels attention = AttentionKernels::kBest;
  bool graph = true;  // HEADZIP_GRAPH=off launches every kernel of every step itself, instead of a recorded graph
  bool overlap = true;  // HEADZIP_OVERLAP=off: no kernel of a step starts before the one before it is done; same bits.
  // As the environment is the process's, so is this one: the engine opened last decides

  static Switches from_environment() {
    const auto is = [](const char* name, std::string_view value) {
      const char* set = std::getenv(name);
      return set != nullptr && value == set;
    };
    Switches s;
    if (is("HEADZIP_ATTENTION", "portable")) s.attention = AttentionKernels::kPortable;
    if (is("HEADZIP_ATTENTION", "single")) s.attention = AttentionKernels::kSingle;
    if (is("HEADZIP_ATTENTION", "pairs")) s.attention = AttentionKernels::kPairs;
    s.graph = !is("HEADZIP_GRAPH", "off");
    s.overlap = !is("HEADZIP_OVERLAP", "off");
    return s;
  }
};

}  // namespace headzip::cuda
