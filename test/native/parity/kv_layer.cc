// A layer's entries under a long random row of changes, against lists kept beside it.
#include "group.h"

namespace headzip::parity {

namespace {

struct Entry {
  std::vector<float> k, v;
  int64_t position;
};
using Heads = std::vector<std::vector<Entry>>;

// The layer at hand and what it should hold.
struct Mirror {
  std::unique_ptr<KvLayer> kv;
  Heads heads;
  std::vector<int64_t> appended;
};

void check(Group& group, const Mirror& m, const std::string& what) {
  for (int64_t h = 0; h < m.kv->heads(); ++h) {
    const std::vector<Entry>& want = m.heads[static_cast<size_t>(h)];
    std::vector<float> k, v;
    bool positions = m.kv->length(h) == static_cast<int64_t>(want.size());
    for (size_t i = 0; i < want.size() && positions; ++i) {
      k.insert(k.end(), want[i].k.begin(), want[i].k.end()), v.insert(v.end(), want[i].v.begin(), want[i].v.end());
      positions = m.kv->position(h, static_cast<int64_t>(i)) == want[i].position;
    }
    group.expect(positions, what + ": length and positions of head " + std::to_string(h));
    const HeadValues now = read_head(*m.kv, h);
    group.same(what + ": keys", now.k, k);
    group.same(what + ": values", now.v, v);
  }
}

void append(Rig& rig, Mirror& m, int64_t tokens) {
  const int64_t dim = m.kv->head_dim(), heads = m.kv->heads();
  const std::vector<float> k = rig.random(tokens * heads * dim), v = rig.random(tokens * heads * dim);
  rig.backend.append(*m.kv, rig.rows(k, tokens), rig.rows(v, tokens));
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < tokens; ++i) {
      const auto from = (i * heads + h) * dim;
      m.heads[static_cast<size_t>(h)].push_back({{k.begin() + from, k.begin() + from + dim},
                                                 {v.begin() + from, v.begin() + from + dim},
                                                 m.appended[static_cast<size_t>(h)]++});
    }
}

std::vector<int64_t> choose(Rig& rig, size_t entries) {
  std::vector<int64_t> list;
  const int64_t of = 1 + rig.below(3);
  for (size_t i = 0; i < entries; ++i)
    if (rig.below(of + 1) > 0) list.push_back(static_cast<int64_t>(i));
  return list;
}

std::vector<Entry> pick(const std::vector<Entry>& from, const std::vector<int64_t>& list) {
  std::vector<Entry> kept;
  for (const int64_t i : list) kept.push_back(from[static_cast<size_t>(i)]);
  return kept;
}

// The bytes of a head into a new one of the same length, a few entries at a time.
void copy_by_bytes(const KvLayer& from, KvLayer& to, int64_t head, int64_t appended) {
  const int64_t entries = from.length(head), step = 7;
  to.resize(head, entries, appended);
  std::vector<std::byte> k(static_cast<size_t>(step) * from.format().key_bytes()),
      v(static_cast<size_t>(step) * from.format().value_bytes());
  for (int64_t at = 0; at < entries; at += step) {
    const int64_t count = std::min(step, entries - at);
    std::vector<int32_t> positions;
    for (int64_t i = at; i < at + count; ++i) positions.push_back(static_cast<int32_t>(from.position(head, i)));
    from.read(head, at, count, k.data(), v.data());
    to.write(head, at, count, k.data(), v.data(), positions.data());
  }
}

std::string change(Rig& rig, Mirror& m) {
  const int64_t heads = m.kv->heads(), h = rig.below(heads);
  std::vector<Entry>& head = m.heads[static_cast<size_t>(h)];
  switch (rig.below(7)) {
    case 0: {
      const std::vector<int64_t> list = choose(rig, head.size());
      m.kv->retain(h, list);
      head = pick(head, list);
      return "retain";
    }
    case 1: {
      const int64_t length = rig.below(static_cast<int64_t>(head.size()) + 1);
      m.appended[static_cast<size_t>(h)] -= static_cast<int64_t>(head.size()) - length;
      m.kv->truncate(h, length);
      head.resize(static_cast<size_t>(length));
      return "truncate";
    }
    case 2: {
      // The same number was appended to all heads, as of a cache.
      int64_t most = 0;
      std::vector<std::vector<int64_t>> lists;
      for (int64_t i = 0; i < heads; ++i) {
        most = std::max(most, m.appended[static_cast<size_t>(i)]);
        lists.push_back(choose(rig, m.heads[static_cast<size_t>(i)].size()));
        m.heads[static_cast<size_t>(i)] = pick(m.heads[static_cast<size_t>(i)], lists.back());
      }
      m.kv = m.kv->gather(lists, most);
      m.appended.assign(static_cast<size_t>(heads), most);
      return "gather";
    }
    case 3: {
      // Entries of another layer stand behind this one's, wherever they stood there.
      Mirror tail{rig.backend.kv(heads, m.kv->head_dim(), 1), Heads(static_cast<size_t>(heads)), m.appended};
      append(rig, tail, 1 + rig.below(20));
      m.kv->extend(*tail.kv);
      for (size_t i = 0; i < m.heads.size(); ++i)
        m.heads[i].insert(m.heads[i].end(), tail.heads[i].begin(), tail.heads[i].end());
      m.appended = tail.appended;
      return "extend";
    }
    case 4: {
      auto copy = m.kv->clone();
      m.kv.reset(static_cast<KvLayer*>(copy.release()));
      return "clone";
    }
    case 5: {
      auto copy = rig.backend.kv(heads, m.kv->head_dim(), 1);
      for (int64_t i = 0; i < heads; ++i) copy_by_bytes(*m.kv, *copy, i, m.appended[static_cast<size_t>(i)]);
      m.kv = std::move(copy);
      return "read and write";
    }
    default: append(rig, m, 1 + rig.below(40)); return "append";
  }
}

}  // namespace

void kv_layer_cases(Rig& rig) {
  Group group("entries of a KV layer");
  for (const int64_t head_dim : {16, 40, 80, 128}) {
    Mirror m{rig.backend.kv(3, head_dim, 1), Heads(3), {0, 0, 0}};
    append(rig, m, 50);
    for (int round = 0; round < 60; ++round) {
      const std::string what = change(rig, m);
      check(group, m, what + " (change " + std::to_string(round) + ")");
    }
  }
}

}  // namespace headzip::parity
