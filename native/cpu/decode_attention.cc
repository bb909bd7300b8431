// Attention of a single query, as decoding has it: heads are few and, after eviction, of very different lengths, so
// the keys are cut into splits of one size and the splits' results are merged.
#include <algorithm>
#include <vector>

#include "backend.h"
#include "head_segment.h"
#include "softmax_state.h"

namespace headzip::cpu {

namespace {

constexpr int64_t kKeysPerSplit = 256;  // fewer are not worth a task

struct KeySplit {
  int64_t head;
  HeadSegment keys;
};

}  // namespace

bool CpuBackend::decodes(std::span<const AttentionParams> batch) {
  if (batch.size() != 1) return false;
  const AttentionParams& params = batch.front();
  if (params.q.rows != 1 || params.window != 0 || params.segments.size() != 1 || params.scores != nullptr ||
      params.out.data == nullptr)
    return false;
  const KvLayer& kv = *params.segments.front().kv;
  for (int64_t head = 0; head < kv.heads(); ++head)
    if (kv.window(head).recent != 0) return false;
  return true;
}

void CpuBackend::decode_attention(const AttentionSpec& spec, const AttentionParams& params) {
  const KvSegment& segment = params.segments.front();
  const auto& kv = static_cast<const CpuKvLayer&>(*segment.kv);
  const int64_t group = spec.group(), width = group * spec.head_dim;
  std::vector<HeadSegment> heads;
  int64_t keys = 0;
  for (int64_t head = 0; head < spec.kv_heads; ++head) {
    heads.push_back(head_segment(segment, head));
    keys += heads.back().end - segment.begin;
  }
  // Two splits a thread at least, whole blocks of keys each.
  const int64_t size = std::max(kKeysPerSplit, keys / (2 * threads_) / kKeysPerSplit * kKeysPerSplit);
  std::vector<KeySplit> splits;
  for (int64_t head = 0; head < spec.kv_heads; ++head) {
    const HeadSegment& all = heads[static_cast<size_t>(head)];
    for (int64_t at = all.begin; at < all.end; at += size) {
      splits.push_back({head, all});
      HeadSegment& part = splits.back().keys;
      part.begin = at;
      part.end = std::min(all.end, at + size);
      part.position += at - all.begin;
    }
  }

  // (splits, group, head_dim) outputs, (splits, group) states, and each thread's own scratch
  const auto count = static_cast<int64_t>(splits.size());
  const int64_t each = (k_.attention_scratch(group, spec.head_dim, 0) + 4095) / 4096 * 1024;
  const int64_t results = (count * (width + 2 * group) + 1023) / 1024 * 1024;
  float* memory = scratch(attention_scratch_, results + each * threads_);
  auto* states = reinterpret_cast<SoftmaxState*>(memory + count * width);
  const auto attend = [&](int64_t i, int thread) {
    const KeySplit& p = splits[i];
    const AttentionTask task{
        .q = floats(params.q) + p.head * width,
        .q_stride = 0,
        .out = memory + i * width,
        .out_stride = 0,
        .queries = 1,
        .group = group,
        .head_dim = spec.head_dim,
        .value_stride = kv.value_stride(),
        .position = params.position,
        .window = 0,
        .scale = spec.scale,
        .score_scale = spec.score_scale(),
        .segments = &p.keys,
        .segment_count = 1,
        .scores = nullptr,
        .states = states + i * group,
    };
    k_.attention(task, memory + results + thread * each);
  };
  if (keys < 2 * kKeysPerSplit)  // done before another thread is there
    for (int64_t i = 0; i < count; ++i) attend(i, 0);
  else parallel(count, attend);

  for (int64_t i = 0, next = 0; i < count; i = next) {
    while (next < count && splits[next].head == splits[i].head) ++next;
    for (int64_t g = 0; g < group; ++g) {
      float* out = floats(params.out) + splits[i].head * width + g * spec.head_dim;
      const SoftmaxState all = merge(states + i * group + g, next - i, group);
      std::fill_n(out, spec.head_dim, 0.0f);
      for (int64_t p = i; p < next; ++p) {
        const float share = rescale(states[p * group + g], all.m) / all.d;
        const float* part = memory + p * width + g * spec.head_dim;
        for (int64_t d = 0; d < spec.head_dim; ++d) out[d] += share * part[d];
      }
    }
  }
}

}  // namespace headzip::cpu
