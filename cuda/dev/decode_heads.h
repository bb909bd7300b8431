// What the checks of a decoding step share: random numbers, heads whose lengths differ, and a line a case.
#pragma once
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "../decode/decode.h"
#include "rig.h"

namespace headzip::cuda::dev {

inline std::vector<bf16> normal(size_t count, unsigned seed) {
  const Array<bf16> made(count);
  fill_normal(made.get(), count, seed);
  MUST(cudaDeviceSynchronize());
  return made.host();
}
inline float wide(bf16 x) { return __bfloat162float(x); }
inline float rounded(float x, bool low) { return low ? wide(__float2bfloat16_rn(x)) : x; }
inline int judge(bool right, const char* what, const char* rest) {
  std::printf("%-5s decode    %s: %s\n", right ? "ok" : "WRONG", what, rest);
  return right ? 0 : 1;
}

// Keys and values whose heads differ in length, on the device and on the host.
struct HeadsKv {
  HeadsKv(std::vector<int32_t> lengths_, int dim, int spare, unsigned seed)
      : lengths(std::move(lengths_)), device_lengths(lengths) {
    std::vector<HeadKv> heads;
    for (size_t h = 0; h < lengths.size(); ++h) {
      const size_t count = static_cast<size_t>(lengths[h] + spare) * dim, used = static_cast<size_t>(lengths[h]) * dim;
      for (int part = 0; part < 2; ++part) {
        std::vector<bf16> values = normal(std::max<size_t>(count, 1), seed + 2 * static_cast<unsigned>(h) + part);
        // What is past the end must not be read, or not count.
        for (size_t i = used; i < values.size(); ++i) values[i] = __float2bfloat16_rn(NAN);
        memory.emplace_back(values);
        (part == 0 ? k : v).push_back(std::move(values));
      }
      heads.push_back({memory[2 * h].get(), memory[2 * h + 1].get()});
    }
    table = std::make_unique<Array<HeadKv>>(heads);
  }
  std::vector<int32_t> lengths;
  std::vector<std::vector<bf16>> k, v;
  std::vector<Array<bf16>> memory;
  Array<int32_t> device_lengths;
  std::unique_ptr<Array<HeadKv>> table;
};

}  // namespace headzip::cuda::dev
