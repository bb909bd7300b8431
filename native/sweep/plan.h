// What one sweep does. score(), prefill() and score_chunks() make plans, and nobody else: their parameters' types leave
// only those that make sense.
#pragma once
#include <span>

#include "sweep.h"

namespace headzip {

enum class SweepKind { kFull, kChunk, kBlock };

struct SweepPlan {
  std::span<const int32_t> prefix, context;
  std::vector<RopeRef> ropes;     // in use
  int64_t max_positions = 0;      // that those are made for
  const KvCache* full = nullptr;  // of prefix and context, which are not read then
  int64_t tile_rows = 0;          // most rows of a pass; 0: the backend's choice

  std::span<const Chunk> chunks;  // empty: nothing is scored
  SweepKind kind = SweepKind::kFull;
  ScoreMethod method = ScoreMethod::kKvzip;
  int64_t before = 0, after = 0;  // see BlockPart
  bool want_pairs = false;

  bool want_cache = false;         // keep every layer's KV, and compute the last token's logits
  const HeadMask* mask = nullptr;  // what of it is evicted
  std::optional<UniformRule> uniform;
};

struct SweepResult {
  std::vector<float> max, mean, p99, pairs;  // see ScoreResult
  std::unique_ptr<KvCache> cache;
  std::vector<KernelTime> kernels;
  size_t peak_bytes = 0;
};

SweepResult run_sweep(Backend& backend, const Model& model, const SweepPlan& plan, JobControl& control);

}  // namespace headzip
