// rope(), append() and rope_append().
//
// The angle is rounded to fp32 first: that is the model's own doing, and the reference's, too. Its cosine and sine are then
// within 2 roundings, and a product, a factor and a sum follow: 6 of both terms together.
#include <cmath>

#include "group.h"

namespace headzip::parity {

namespace {

RopeRef make_rope(int64_t pairs, float scale, bool adjacent) {
  auto rope = std::make_shared<Rope>();
  for (int64_t d = 0; d < pairs; ++d)
    rope->inv_freq.push_back(static_cast<float>(std::pow(10000.0, -static_cast<double>(d) / static_cast<double>(pairs))));
  rope->scale = scale;
  rope->adjacent = adjacent;
  return rope;
}

// (rows, heads, head_dim)
Expected rotated(const Rig& rig, const std::vector<float>& x, int64_t rows, int64_t heads, const Rope& rope, int64_t position) {
  Expected e;
  for (const float each : x) e.add(each, 0);
  const auto pairs = static_cast<int64_t>(rope.inv_freq.size()), head_dim = static_cast<int64_t>(x.size()) / rows / heads;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t d = 0; d < pairs; ++d) {
        const double angle = static_cast<float>(position + i) * rope.inv_freq[static_cast<size_t>(d)];
        const double cosine = std::cos(angle) * rope.scale, sine = std::sin(angle) * rope.scale;
        const auto head = static_cast<size_t>((i * heads + h) * head_dim);
        const size_t a = head + static_cast<size_t>(rope.adjacent ? 2 * d : d),
                     b = a + static_cast<size_t>(rope.adjacent ? 1 : pairs);
        const double first = x[a], second = x[b];
        const double slack = 6 * rig.eps.sum * (std::abs(first) + std::abs(second)) * rope.scale;
        e.values[a] = first * cosine - second * sine;
        e.values[b] = second * cosine + first * sine;
        for (const size_t at : {a, b}) e.bounds[at] = slack + rig.eps.output * std::abs(e.values[at]);
      }
  return e;
}

// Head `h` of rows of `heads` heads.
Expected head_of(const Expected& rows, int64_t h, int64_t heads, int64_t head_dim) {
  Expected e;
  for (size_t i = 0; i < rows.values.size(); ++i)
    if (static_cast<int64_t>(i) / head_dim % heads == h) e.add(rows.values[i], rows.bounds[i]);
  return e;
}

Expected exactly(const std::vector<float>& values) {
  Expected e;
  for (const float each : values) e.add(each, 0);
  return e;
}

void append_case(Rig& rig, Group& group, int64_t tokens, int64_t head_dim, int64_t size, bool queries, bool values) {
  const int64_t kv_heads = 3, heads = kv_heads * size, width = kv_heads * head_dim, position = 37;
  const auto rope = make_rope(head_dim / 2, 1, false);
  const std::vector<float> q = rig.random(tokens * heads * head_dim), k = rig.random(tokens * width),
                           v = rig.random(tokens * width);
  const auto kv = rig.kv(kv_heads, head_dim, 5);
  kv->retain(1, std::vector<int64_t>{0, 2, 4});  // heads of different lengths
  std::vector<HeadValues> before;
  for (int64_t h = 0; h < kv_heads; ++h) before.push_back(read_head(*kv, h));
  const OwnedRows q_rows = rig.rows(q, tokens), k_rows = rig.rows(k, tokens), v_rows = rig.rows(v, tokens);
  rig.backend.rope_append(*kv, queries ? static_cast<const Rows&>(q_rows) : Rows{}, heads, k_rows,
                          values ? static_cast<const Rows&>(v_rows) : Rows{}, rope, position);
  const std::string what = std::to_string(tokens) + " tokens, " + std::to_string(head_dim) + " wide";
  if (queries) group.compare(what + ", queries", rig.values(q_rows), rotated(rig, q, tokens, heads, *rope, position));
  const Expected keys = rotated(rig, k, tokens, kv_heads, *rope, position);
  for (int64_t h = 0; h < kv_heads; ++h) {
    const HeadValues now = read_head(*kv, h);
    Expected expected = exactly(before[static_cast<size_t>(h)].k);
    const Expected added = head_of(keys, h, kv_heads, head_dim);
    expected.values.insert(expected.values.end(), added.values.begin(), added.values.end());
    expected.bounds.insert(expected.bounds.end(), added.bounds.begin(), added.bounds.end());
    group.compare(what + ", keys", now.k, expected);
    group.expect(kv->length(h) == (h == 1 ? 3 : 5) + tokens && kv->position(h, kv->length(h) - 1) == 4 + tokens,
                 what + ": lengths and positions");
    if (!values) continue;
    std::vector<float> all = before[static_cast<size_t>(h)].v;
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t d = 0; d < head_dim; ++d) all.push_back(v[static_cast<size_t>((i * kv_heads + h) * head_dim + d)]);
    group.same(what + ", values", now.v, all);
  }
}

}  // namespace

void rope_cases(Rig& rig) {
  for (const bool adjacent : {false, true}) {
    Group group(adjacent ? "rope of neighbours" : "rope of halves");
    for (const int64_t head_dim : {16, 64, 80, 96, 128, 256})
      for (const int64_t rows : {1, 3, 17, 65})
        for (const int64_t position : {0, 1000, 131071})
          for (const bool partial : {false, true}) {
            if (position > 1000 && (head_dim != 64 || rows != 17)) continue;  // a table of so many angles takes its time
            const auto rope = make_rope(partial ? head_dim / 4 : head_dim / 2, partial ? 1.25f : 1, adjacent);
            const int64_t heads = rows == 3 ? 7 : 2;
            const std::vector<float> x = rig.random(rows * heads * head_dim);
            const OwnedRows in = rig.rows(x, rows);
            rig.backend.rope(in, heads, rope, position);
            group.compare(std::to_string(rows) + " rows, " + std::to_string(head_dim) + " wide, at " + std::to_string(position),
                          rig.values(in), rotated(rig, x, rows, heads, *rope, position));
          }
  }
}

void append_cases(Rig& rig) {
  {
    Group group("append");
    for (const int64_t head_dim : {16, 80, 256})
      for (const int64_t tokens : {1, 3, 17, 65}) {
        const int64_t heads = 3, width = heads * head_dim;
        const std::vector<float> k = rig.random(2 * tokens * width), v = rig.random(2 * tokens * width);
        const OwnedRows k_rows = rig.rows(k, 2 * tokens), v_rows = rig.rows(v, 2 * tokens);
        const auto kv = rig.backend.kv(heads, head_dim, 1);
        rig.backend.append(*kv, k_rows.slice(0, tokens), v_rows.slice(0, tokens));
        rig.backend.append(*kv, k_rows.slice(tokens, tokens), v_rows.slice(tokens, tokens));
        for (int64_t h = 0; h < heads; ++h) {
          std::vector<float> keys, values;
          for (int64_t i = 0; i < 2 * tokens; ++i)
            for (int64_t d = 0; d < head_dim; ++d) {
              keys.push_back(k[static_cast<size_t>((i * heads + h) * head_dim + d)]);
              values.push_back(v[static_cast<size_t>((i * heads + h) * head_dim + d)]);
            }
          const HeadValues now = read_head(*kv, h);
          group.same("keys of " + std::to_string(2 * tokens) + " tokens", now.k, keys);
          group.same("values of " + std::to_string(2 * tokens) + " tokens", now.v, values);
        }
        rig.backend.append(*kv, k_rows.slice(0, 1), Rows{});
        const HeadValues now = read_head(*kv, 2);
        group.same("a key without a value", std::span(now.k).last(static_cast<size_t>(head_dim)),
                   std::span(k).subspan(static_cast<size_t>(2 * head_dim), static_cast<size_t>(head_dim)));
      }
  }
  Group group("rope_append");
  for (const int64_t head_dim : {16, 64, 80, 256})
    for (const int64_t tokens : {1, 3, 17, 65})
      for (const int64_t size : {1, 7}) {
        append_case(rig, group, tokens, head_dim, size, true, true);
        append_case(rig, group, tokens, head_dim, size, false, true);
        append_case(rig, group, tokens, head_dim, size, false, false);
      }
}

}  // namespace headzip::parity
