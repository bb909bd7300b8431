#include "sweep.h"

#include <string>
#include <utility>

#include "../error.h"
#include "check_plan.h"
#include "plan.h"

namespace headzip {

namespace {

void set_kind(SweepPlan& plan, FullSweep) { plan.kind = SweepKind::kFull; }
void set_kind(SweepPlan& plan, ChunkSweep) { plan.kind = SweepKind::kChunk; }
void set_kind(SweepPlan& plan, BlockSweep) { plan.kind = SweepKind::kBlock; }
void set_kind(SweepPlan& plan, const BlockPart& part) {
  plan.kind = SweepKind::kBlock;
  plan.before = part.before;
  plan.after = part.after;
}

template <typename... Kinds>
void plan_scoring(const Scoring<Kinds...>& scoring, const Backend& backend, SweepPlan& plan) {
  if (scoring.chunks.empty()) throw Error("there are no chunks to score");
  if (scoring.method == ScoreMethod::kKvzipPlus && !backend.weighs_scores())
    throw Error(std::string("kvzip+ scores are computed on the CPU only, not on ") + backend.name() +
                "; score with --device cpu");
  plan.chunks = scoring.chunks;
  plan.method = scoring.method;
  std::visit([&](const auto& kind) { set_kind(plan, kind); }, scoring.kind);
}

SweepPlan plan_text(const Text& text, const ModelSpec& spec) {
  SweepPlan plan;
  plan.prefix = text.prefix;
  plan.context = text.context;
  plan.ropes = text.ropes.empty() ? spec.ropes : text.ropes;
  plan.max_positions = text.max_positions == 0 ? spec.max_positions : text.max_positions;
  return plan;
}

}  // namespace

ScoreResult score(Backend& backend, const Model& model, const ScoreParams& params, JobControl& control) {
  SweepPlan plan = plan_text(params.text, model.spec);
  plan_scoring(params.scoring, backend, plan);
  plan.want_pairs = params.want_pairs;
  SweepResult done = run_sweep(backend, model, plan, control);
  return {std::move(done.max),   std::move(done.mean),    std::move(done.p99),
          std::move(done.pairs), std::move(done.kernels), done.peak_bytes};
}

PrefillResult prefill(Backend& backend, const Model& model, const PrefillParams& params, JobControl& control) {
  SweepPlan plan = plan_text(params.text, model.spec);
  plan.want_cache = true;
  plan.tile_rows = params.tile_rows;
  plan.mask = std::get_if<HeadMask>(&params.eviction);
  if (const auto* scored = std::get_if<Scored>(&params.eviction)) {
    plan_scoring(scored->scoring, backend, plan);
    plan.want_pairs = true;
    plan.uniform = scored->uniform;
  }
  SweepResult done = run_sweep(backend, model, plan, control);
  return {std::move(done.cache), std::move(done.pairs), std::move(done.kernels), done.peak_bytes};
}

ScoreChunksResult score_chunks(Backend& backend, const Model& model, const KvCache& full, const ScoreChunksParams& params,
                               JobControl& control) {
  SweepPlan plan;
  plan_scoring(params.scoring, backend, plan);
  check_full(full, static_cast<int64_t>(params.prefix.size()), static_cast<int64_t>(params.context.size()), model.spec);
  plan.prefix = params.prefix;
  plan.context = params.context;
  plan.ropes = full.ropes;
  plan.max_positions = full.max_positions;
  plan.full = &full;
  plan.want_pairs = true;
  SweepResult done = run_sweep(backend, model, plan, control);
  return {std::move(done.pairs), done.peak_bytes};
}

}  // namespace headzip
