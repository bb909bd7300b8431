// How far a backend may be off:
//
// A logit is a dot product of head_dim terms, so it is within (head_dim + 2) roundings of scale * sum |q k|; taken to base 2
// it is rounded thrice more, as is what is taken off it. So a softmax weight is off by a share of
//   w = (head_dim + 2) * gemm * scale * max sum |q k| + 4 * sum * max |logit| + exp.
// A weighted mean whose weights are off by w is off by 2 w of the mean of |v|; sums over n keys add n roundings above and
// below the line. Where weights are rounded before they meet values, that comes on top.
// A score is one weight by such a sum: off by a share of 2 w and n roundings.
#include "attention_reference.h"

#include <algorithm>
#include <cmath>

namespace headzip::parity {

namespace {

constexpr double kTiny = 1e-36;  // exponentials below the smallest normal number may be zero

struct Softmax {
  std::vector<double> weights;  // of the keys seen, in order; their sum is 1
  double off = 0;               // w above
};

int64_t value_stride(int64_t entries) { return (entries + 15) / 16 * 16; }  // see ScoreWeights

// One key that a query sees.
struct Key {
  const float *k, *v;
  int64_t segment, entry;
};

int64_t end_of(const KvSegment& s, int64_t head) {
  const int64_t length = s.kv->length(head);
  return s.count < 0 ? length : std::min(length, s.begin + s.count);
}

// Positions as a head's entries line up: from the first key on, or back from the last.
int64_t lined_up(const KvSegment& s, int64_t head, int64_t entry) {
  return s.from_end ? s.position - (end_of(s, head) - 1 - entry) : s.position + (entry - s.begin);
}

class Head {
 public:
  Head(const Call& call, int64_t head) : call_(call), head_(head) {
    for (const KvSegment& s : call.segments) values_.push_back(read_head(*s.kv, head));
  }
  std::vector<Key> seen(int64_t position, bool in_score) const {
    std::vector<Key> keys;
    const int64_t dim = call_.spec.head_dim;
    for (size_t s = 0; s < call_.segments.size(); ++s) {
      const KvSegment& segment = call_.segments[s];
      for (int64_t e = segment.begin; e < end_of(segment, head_); ++e)
        if (sees(call_, segment, head_, e, position, in_score))
          keys.push_back({values_[s].k.data() + e * dim, values_[s].v.data() + e * dim, static_cast<int64_t>(s), e});
    }
    return keys;
  }

 private:
  const Call& call_;
  int64_t head_;
  std::vector<HeadValues> values_;
};

Softmax softmax(const float* q, const std::vector<Key>& keys, int64_t dim, double scale, const Precision& eps) {
  Softmax out;
  double size = 0, largest = 0, top = -INFINITY, total = 0;
  for (const Key& key : keys) {
    double logit = 0, terms = 0;
    for (int64_t d = 0; d < dim; ++d) {
      const double term = static_cast<double>(q[d]) * key.k[d];
      logit += term, terms += std::abs(term);
    }
    out.weights.push_back(logit * scale);
    size = std::max(size, terms * std::abs(scale)), largest = std::max(largest, std::abs(logit * scale));
    top = std::max(top, logit * scale);
  }
  for (double& each : out.weights) total += each = std::exp(each - top);
  for (double& each : out.weights) each /= total;
  out.off = static_cast<double>(dim + 2) * eps.gemm * size + 4 * eps.sum * largest + eps.exp;
  return out;
}

}  // namespace

bool sees(const Call& call, const KvSegment& s, int64_t head, int64_t entry, int64_t position, bool in_score) {
  if (in_score && !s.in_score) return false;
  const Window stream = s.kv->window(head);
  const int64_t window = in_score ? 0 : call.window, line = lined_up(s, head, entry);
  // Where a window counts, an entry stands where it was appended, however many before it were lost.
  const bool as_appended = s.from_end && (window > 0 || stream.recent > 0);
  const int64_t at = as_appended ? s.kv->position(head, entry) : line;
  if (at > position || (window > 0 && at <= position - window)) return false;
  return stream.recent == 0 || at < stream.sink || at > position - stream.recent;
}

Expected expected_output(const Call& call, const Precision& eps) {
  Expected e;
  const int64_t dim = call.spec.head_dim, heads = call.spec.heads, group = call.spec.group();
  e.values.resize(call.q.size()), e.bounds.resize(call.q.size());
  for (int64_t kv_head = 0; kv_head < call.spec.kv_heads; ++kv_head) {
    const Head head(call, kv_head);
    for (int64_t i = 0; i < call.rows; ++i) {
      const std::vector<Key> keys = head.seen(call.position + i, false);
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
        const auto at = static_cast<size_t>((i * heads + h) * dim);
        const Softmax s = softmax(call.q.data() + at, keys, dim, call.spec.scale, eps);
        const double share = 2 * s.off + 2 * static_cast<double>(keys.size() + 8) * eps.sum + eps.weight;
        for (int64_t d = 0; d < dim; ++d) {
          double value = 0, size = 0;
          for (size_t j = 0; j < keys.size(); ++j)
            value += s.weights[j] * keys[j].v[d], size += s.weights[j] * std::abs(keys[j].v[d]);
          e.values[at + static_cast<size_t>(d)] = value;
          e.bounds[at + static_cast<size_t>(d)] = share * size + eps.output * std::abs(value) + kTiny;
        }
      }
    }
  }
  return e;
}

Expected expected_scores(const Call& call, const Precision& eps) {
  Expected e;
  const auto scored = std::find_if(call.segments.begin(), call.segments.end(), [](const KvSegment& s) { return s.scored; });
  const auto index = scored - call.segments.begin();
  const int64_t count = end_of(*scored, 0) - scored->begin, dim = call.spec.head_dim, heads = call.spec.heads,
                group = call.spec.group();
  e.values.resize(static_cast<size_t>(call.spec.kv_heads * count)), e.bounds.resize(e.values.size(), kTiny);
  for (int64_t kv_head = 0; kv_head < call.spec.kv_heads; ++kv_head) {
    const Head head(call, kv_head);
    for (int64_t i = 0; i < call.rows; ++i) {
      const std::vector<Key> keys = head.seen(call.position + i, true);
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
        const Softmax s = softmax(call.q.data() + (i * heads + h) * dim, keys, dim, call.spec.score_scale(), eps);
        for (size_t j = 0; j < keys.size(); ++j) {
          if (keys[j].segment != index) continue;
          double value = s.weights[j], share = 2 * s.off + static_cast<double>(keys.size() + 10) * eps.sum;
          if (call.weighted) {
            const double more = call.value_norms[static_cast<size_t>(h * value_stride(scored->kv->length(0)) + keys[j].entry)] -
                                call.row_norms[static_cast<size_t>(i)];
            value *= std::exp2(more), share += 4 * eps.sum * std::abs(more);
          }
          const auto at = static_cast<size_t>(kv_head * count + keys[j].entry - scored->begin);
          if (value > e.values[at]) e.values[at] = value;
          e.bounds[at] = std::max(e.bounds[at], share * value + kTiny);
        }
      }
    }
  }
  return e;
}

void run(Rig& rig, Group& group, const std::string& what, std::vector<Call> batch) {
  std::vector<OwnedRows> q, out;
  std::vector<ScoreBuffer> scores, norms;
  std::vector<AttentionParams> params;
  for (Call& call : batch) {
    call.q = rig.random(call.rows * call.spec.q_width());
    AttentionParams p{.q = q.emplace_back(rig.rows(call.q, call.rows)),
                      .position = call.position,
                      .segments = call.segments,
                      .out = {},
                      .window = call.window};
    if (call.out) p.out = out.emplace_back(rig.backend.rows(call.rows, call.spec.q_width()));
    else out.emplace_back();
    if (call.scores) {
      const auto scored = std::find_if(call.segments.begin(), call.segments.end(), [](const KvSegment& s) { return s.scored; });
      const ScoreBuffer& buffer =
          scores.emplace_back(rig.backend.scores(call.spec.kv_heads, end_of(*scored, 0) - scored->begin));
      rig.backend.clear(buffer);
      p.scores = buffer.data, p.score_stride = buffer.positions;
      if (call.weighted) {
        // As they come: of a projection, and of rows.
        const int64_t entries = scored->kv->length(0), stride = value_stride(entries), hidden = 24;
        const ScoreBuffer& values = norms.emplace_back(rig.backend.scores(call.spec.heads, stride));
        rig.backend.value_norms(rig.weight(rig.random(hidden * call.spec.q_width()), hidden, call.spec.q_width()), *scored->kv,
                                0, entries, values);
        const ScoreBuffer& rows = norms.emplace_back(rig.backend.scores(1, call.rows));
        rig.backend.row_norms(rig.stream(rig.random(call.rows * hidden), call.rows), rows);
        call.value_norms = rig.values(norms[norms.size() - 2]), call.row_norms = rig.values(norms.back());
        p.weights = {norms[norms.size() - 2].data, stride, norms.back().data};
      }
    } else {
      scores.emplace_back();
    }
    params.push_back(p);
  }
  rig.backend.attention(batch.front().spec, params);
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::string which = what + (batch.size() > 1 ? ", call " + std::to_string(i) : "");
    if (batch[i].out) group.compare(which + ", output", rig.values(out[i]), expected_output(batch[i], rig.eps));
    if (batch[i].scores) group.compare(which + ", scores", rig.values(scores[i]), expected_scores(batch[i], rig.eps));
  }
}

}  // namespace headzip::parity
