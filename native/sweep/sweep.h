// The one sweep over the layers: prefill of the context and scoring of its repetition, with one layer of KV alive.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "../backend.h"
#include "../kv/kv_cache.h"
#include "../job_control.h"

namespace headzip {

// What a reconstruction input (and under kBlock the context, too) may see of the context.
enum class SweepKind { kFull, kChunk, kBlock };

// What of a pair's attention is its score: the softmax weight as it is, or times the norm of what its value adds to the
// stream and over the norm of the row that looks at it (KVzip+).
enum class ScoreMethod { kKvzip, kKvzipPlus };

struct Chunk {
  int64_t start = 0, end = 0;  // context tokens [start, end)
  std::vector<int32_t> ids;    // the reconstruction input
};

struct SweepParams {
  std::vector<int32_t> prefix, context;
  std::vector<Chunk> chunks;        // in order, covering the context; empty: prefill only
  SweepKind kind = SweepKind::kFull;
  ScoreMethod method = ScoreMethod::kKvzip;
  // kBlock: context tokens before and after those given, which keep their positions: blocks see nothing of one another,
  // so any run of them can be scored apart.
  int64_t before = 0, after = 0;
  bool want_pairs = false;
  bool want_cache = false;          // keep every layer's KV (and compute the last token's logits)
  // With want_cache, evicted layer by layer, so that the peak is what is kept and one layer:
  std::vector<uint8_t> keep_heads;     // (KV heads of the scored layers), or empty: the rest lose their context,
  Window window;                       // or become streaming heads
  std::optional<UniformRule> uniform;  // every head keeps its best entries; with chunks
  int64_t tile_rows = 0;               // most rows of a pass; 0: the backend's choice
  std::vector<RopeRef> ropes;          // in place of the model's own, for contexts longer than those are made for; or empty
  int64_t max_positions = 0;           // that `ropes` are made for; 0: the model's
  // A full cache of prefix and context: the context is not read again, and any chunks in a row may be scored against it.
  KvCache* full = nullptr;
};

struct SweepResult {
  // (KV heads of the scored layers) over the positions of all chunks: maximum, mean and 99th percentile (nearest rank)
  std::vector<float> max, mean, p99;
  std::vector<float> pairs;  // (KV heads of the scored layers, positions of all chunks) when wanted
  std::unique_ptr<KvCache> cache;
  std::vector<KernelTime> kernels;  // where the device's time went, when the backend times its work
  size_t peak_bytes = 0;  // of the engine's own memory: weights are mapped and not counted
};

// Throws Error (one sentence) for a job that does not fit the model, Aborted when asked to stop.
SweepResult run_sweep(Backend& backend, const Model& model, const SweepParams& params, JobControl& control);

}  // namespace headzip
