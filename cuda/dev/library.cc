// The kernels on cases of their own, for a program in another language that times them in turn with others' (through
// ctypes, say): bench/gpu/kernels_torch.py.
#include <cmath>

#include "rig.h"

namespace headzip::cuda::dev {
namespace {

struct Timed {
  AttentionShape shape;
  Cache cache;
  Work work;
  Launch launch;
  Timed(Path path, const AttentionShape& s, int queries, int keys, bool causal)
      : shape(s), cache(s.kv_heads, s.head_dim, keys, cluster_of(path), 1),
        work(s, queries, causal ? keys - queries : keys, {{&cache, 0, keys, 0, false, false}}, 2), launch(path, s, {&work}) {}
};

}  // namespace
}  // namespace headzip::cuda::dev

using namespace headzip::cuda;

// path: 0 portable, 1 Hopper, 2 Hopper in pairs of blocks. Free with attention_close.
extern "C" __attribute__((visibility("default"))) void* attention_open(int path, int by_kv_head, int heads, int kv_heads,
                                                                       int head_dim, int queries, int keys, int causal) {
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  AttentionShape shape{heads, kv_heads, head_dim, scale, scale, 0, 0};
  shape.by_kv_head = by_kv_head;
  return new dev::Timed(static_cast<dev::Path>(path), shape, queries, keys, causal != 0);
}
// On the default stream.
extern "C" __attribute__((visibility("default"))) void attention_run(void* timed) {
  static_cast<dev::Timed*>(timed)->launch.attention();
}
extern "C" __attribute__((visibility("default"))) void attention_close(void* timed) { delete static_cast<dev::Timed*>(timed); }
