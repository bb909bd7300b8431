// Every kernel of attention and the score against naive ones in fp32, at odd sizes. The error allowed is twice that of the
// naive kernel with bf16 logits, weights and output.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "rig.h"

namespace headzip::cuda::dev {
namespace {

struct Case {
  const char* what;
  int heads, kv_heads, head_dim, queries, context;
  bool repeat;  // a reconstruction input over [prefix | earlier | chunk | later | self], else the context's own last queries
  int window = 0;
};

struct Difference {
  double largest = 0, size = 0;
};

Difference difference(const std::vector<float>& a, const std::vector<float>& reference) {
  Difference d;
  for (size_t i = 0; i < a.size(); ++i) {
    const double off = std::fabs(static_cast<double>(a[i]) - reference[i]);
    d.largest = off <= d.largest ? d.largest : off;  // NaN wins
    d.size = std::max(d.size, std::fabs(static_cast<double>(reference[i])));
  }
  return d;
}

std::vector<float> upcast(const std::vector<bf16>& in) {
  std::vector<float> out;
  for (const bf16 x : in) out.push_back(__bfloat162float(x));
  return out;
}

int judge(const char* quantity, Path path, const Case& c, const Difference& got, const Difference& low) {
  const double allowed = 2 * low.largest + 1e-5;
  const bool right = got.largest <= allowed && got.size > 1e-3;
  std::printf("%-5s %-9s %-12s %-34s %2d/%d x %3d, %4d queries, %4d keys: off %.1e, bf16 %.1e, values to %.2f\n",
              right ? "ok" : "WRONG", quantity, name(path), c.what, c.heads, c.kv_heads, c.head_dim, c.queries, c.context,
              got.largest, low.largest, got.size);
  return right ? 0 : 1;
}

int check(const Case& c, Path path, bool lse) {
  const AttentionShape shape{c.heads,
                             c.kv_heads,
                             c.head_dim,
                             1 / std::sqrt(static_cast<float>(c.head_dim)),
                             1 / std::sqrt(static_cast<float>(c.head_dim)),
                             c.window};
  const int cluster = cluster_of(path), own_length = c.repeat ? c.queries : 1;
  const Cache context(c.kv_heads, c.head_dim, c.context, cluster, 1), own(c.kv_heads, c.head_dim, own_length, cluster, 2);
  std::vector<Range> ranges;
  if (c.repeat) {
    const int prefix = std::min(30, c.context / 4), start = c.context / 3, end = start + c.context / 3;
    ranges = {{&context, 0, prefix, 0, true, false},
              {&context, prefix, start, prefix, false, false},
              {&context, start, end, start, true, true},
              {&context, end, c.context, end, false, false},
              {&own, 0, c.queries, c.context, true, false}};
  } else {
    ranges = {{&context, 0, c.context, 0, false, false}};
  }
  // A second problem of another length beside it, so that the batch holds more than one.
  Work work(shape, c.queries, c.repeat ? c.context : c.context - c.queries, ranges, 3);
  Work other(shape, std::max(1, c.queries / 2), c.repeat ? c.context : c.context - c.queries, ranges, 4);
  const Launch launch(path, shape, {&work, &other}, lse);
  launch.attention();
  MUST(cudaDeviceSynchronize());
  int wrong = 0;
  for (const Work* each : {&work, &other}) {
    const auto reference = naive_attention(shape, *each, false);
    wrong += judge("attention", path, c, difference(upcast(each->out->host()), reference),
                   difference(naive_attention(shape, *each, true), reference));
  }
  if (!c.repeat) return wrong;
  launch.score();
  MUST(cudaDeviceSynchronize());
  for (const Work* each : {&work, &other}) {
    const auto reference = naive_scores(shape, *each, false), first = each->scores->host();
    wrong += judge("score", path, c, difference(first, reference), difference(naive_scores(shape, *each, true), reference));
    MUST(cudaMemset(each->scores->get(), 0, first.size() * sizeof(float)));
  }
  const auto before = work.out->host();
  launch.attention();
  launch.score();
  const auto bits = [](const std::vector<bf16>& v) {
    return std::vector<unsigned char>(reinterpret_cast<const unsigned char*>(v.data()),
                                      reinterpret_cast<const unsigned char*>(v.data() + v.size()));
  };
  if (bits(before) != bits(work.out->host())) {
    std::printf("WRONG %s: another run gave other bits\n", name(path));
    ++wrong;
  }
  return wrong;
}

}  // namespace

int check_kernels(bool small) {
  const Case cases[] = {
      {"causal", 4, 2, 128, 1, 1, false},
      {"causal", 4, 2, 128, 19, 19, false},
      {"causal", 7, 1, 128, 111, 111, false},
      {"causal", 4, 4, 128, 300, 300, false},
      {"causal, offset", 8, 2, 128, 257, 2033, false},
      {"causal, offset", 14, 2, 128, 1, 3001, false},
      {"repeat", 14, 2, 128, 111, 700, true},
      {"repeat", 4, 1, 128, 333, 2033, true},
      {"repeat, window", 4, 2, 128, 257, 900, true, 700},
      {"causal, window", 4, 2, 128, 700, 700, false, 100},
      {"causal", 4, 2, 64, 19, 19, false},
      {"causal", 6, 2, 64, 257, 2033, false},
      {"repeat", 8, 4, 64, 333, 1500, true},
      {"causal, window", 4, 2, 64, 300, 800, false, 64},
      {"causal", 4, 2, 256, 111, 111, false},
      {"causal", 4, 1, 256, 300, 2033, false},
      {"repeat", 8, 4, 256, 257, 900, true},
      {"causal", 4, 2, 80, 111, 300, false},
      {"repeat", 4, 2, 96, 130, 500, true},
      {"repeat", 4, 2, 16, 40, 200, true},
      {"repeat", 4, 2, 64, 70, 900, true},
      {"repeat", 4, 2, 256, 70, 500, true},
  };
  int wrong = 0;
  for (const Case& c : cases) {
    if (small && (c.queries * c.context > 80000 || c.queries < 60)) continue;
    for (const Path path : {Path::kPortable, Path::kHopper, Path::kHopperPairs})
      for (const bool lse : {false, true})
        if (runs(path, c.head_dim) && (path == Path::kPortable ? !lse : c.repeat || !lse)) wrong += check(c, path, lse);
  }
  return wrong;
}

}  // namespace headzip::cuda::dev
