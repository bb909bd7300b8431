#include "decoder.h"

#include <algorithm>

#include "../error.h"

namespace headzip {

namespace {
constexpr size_t kMostRecordedTails = 8;
}

Decoder::Decoder(Backend& backend, const Model& model, const KvCache& cache, int64_t rows)
    : backend_(backend), model_(model), cache_(cache), tile_(rows), runner_(backend, model, cache.ropes, rows),
      x_(backend.stream(rows, model.spec.hidden)) {}

Tail Decoder::tail(int64_t capacity) const {
  Tail tail;
  for (size_t l = 0; l < cache_.layers.size(); ++l) {
    const KvLayer& context = cache_.kv(static_cast<int64_t>(l));
    tail.layers.push_back(backend_.kv(context.heads(), context.head_dim(), capacity));
    for (int64_t h = 0; h < context.heads(); ++h) {
      // A streaming head's window passes over the tail, too.
      const Window window = context.window(h);
      if (window.recent > 0) tail.layers[l]->set_window(h, window);
    }
  }
  return tail;
}

// groups[i] holds rows of tails[i].
void Decoder::pass(Rows x, std::vector<RowGroup>& groups, std::span<Tail* const> tails, JobControl& control) {
  for (size_t l = 0; l < cache_.layers.size(); ++l) {
    control.check();
    backend_.enter_layer(model_, static_cast<int64_t>(l));
    for (size_t i = 0; i < groups.size(); ++i) {
      RowGroup& p = groups[i];
      p.own = tails[i]->layers[l].get();
      p.position = cache_.position + tails[i]->tokens;
      p.segments.clear();
      p.segments.push_back({&cache_.kv(static_cast<int64_t>(l)), 0, -1, cache_.position - 1, true});
      p.segments.push_back({p.own, 0, -1, cache_.position});
    }
    runner_.run(static_cast<int64_t>(l), x, groups, LayerOutput::kHidden);
  }
}

void Decoder::advance(Rows x, std::span<Tail* const> tails, bool lm_head, JobControl& control) {
  const auto step = [&] {
    row_groups_.resize(tails.size());
    for (size_t i = 0; i < tails.size(); ++i) {
      row_groups_[i].first = static_cast<int64_t>(i);
      row_groups_[i].rows = 1;
    }
    pass(x, row_groups_, tails, control);
    if (lm_head) runner_.lm_head(x);
  };
  control.check();
  // Routing to experts goes by way of the host, and many tails come and go too often for a recording to pay.
  if (model_.spec.widths().experts > 0 || tails.size() > kMostRecordedTails) return step();
  if (lm_head != recorded_lm_head_ || !std::equal(tails.begin(), tails.end(), recorded_.begin(), recorded_.end()))
    recording_.reset();
  recorded_.assign(tails.begin(), tails.end());
  recorded_lm_head_ = lm_head;
  backend_.replay(recording_, step);
}

void Decoder::synchronize() {
  if (!backend_.synchronize()) throw NotFinite();
}

StepResult Decoder::step(std::span<Tail* const> tails, std::span<const int32_t> ids, StepOutput wanted, JobControl& control) {
  StepResult out;
  for (Tail* tail : tails)
    for (const auto& layer : tail->layers) layer->reserve(1);
  for (size_t at = 0; at < ids.size(); at += static_cast<size_t>(tile_)) {
    const size_t rows = std::min(static_cast<size_t>(tile_), ids.size() - at);
    const Rows x = x_.slice(0, static_cast<int64_t>(rows));
    backend_.embed(model_.embed, ids.subspan(at, rows), model_.spec.embed_scale, x);
    advance(x, tails.subspan(at, rows), wanted != StepOutput::kNothing, control);
    for (size_t i = 0; i < rows; ++i) tails[at + i]->tokens += 1;
    if (wanted == StepOutput::kArgmax) {
      const std::vector<Argmax> part = backend_.argmax(runner_.logit_rows(x.rows));
      out.argmax.insert(out.argmax.end(), part.begin(), part.end());
    } else if (wanted == StepOutput::kLogits) {
      const std::vector<float> part = runner_.logits(x.rows);
      out.logits.insert(out.logits.end(), part.begin(), part.end());
    }
    synchronize();
  }
  return out;
}

}  // namespace headzip
