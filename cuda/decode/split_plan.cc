// How keys are cut into splits, decided on the host.
#include <algorithm>

#include "decode.h"

namespace headzip::cuda {

int decode_splits(const int32_t* lengths, int kv_heads, int chunk) {
  int splits = 0;
  for (int h = 0; h < kv_heads; ++h) splits += (lengths[h] + chunk - 1) / chunk;
  return splits;
}

int decode_chunk(const int32_t* lengths, int kv_heads, int blocks) {
  constexpr int kStep = 64;  // a tile of keys for every warp of a block
  int64_t keys = 0;
  for (int h = 0; h < kv_heads; ++h) keys += lengths[h];
  blocks = std::max(blocks, 2 * kv_heads);
  int chunk = static_cast<int>(std::max<int64_t>(1, (keys + static_cast<int64_t>(blocks) * kStep - 1) /
                                                        (static_cast<int64_t>(blocks) * kStep))) *
              kStep;
  while (decode_splits(lengths, kv_heads, chunk) > blocks) chunk += kStep;
  return chunk;
}

}  // namespace headzip::cuda
