// The one sweep over the layers: prefill of the context and scoring of its repetition, with one layer of KV alive. Three
// calls make it, each with what it can mean and nothing else.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "../backend.h"
#include "../job_control.h"
#include "../kv/kv_cache.h"

namespace headzip {

// What is read: the system prefix, then the context.
struct Text {
  std::vector<int32_t> prefix, context;
  std::vector<RopeRef> ropes;  // in place of the model's own, for contexts longer than those are made for; or empty
  int64_t max_positions = 0;   // that `ropes` are made for; 0: the model's
};

struct Chunk {
  int64_t start = 0, end = 0;  // context tokens [start, end)
  std::vector<int32_t> ids;    // the reconstruction input
};

// Kinds of sweep: what a reconstruction input sees of the context, besides the system prefix and itself.
struct FullSweep {};   // all of it
struct ChunkSweep {};  // the chunk that it repeats
struct BlockSweep {};  // the same, and the context's rows see nothing outside their own chunk either
// BlockSweep of some chunks of a longer context: its tokens before and after those given, which keep their positions.
// Blocks see nothing of one another, so any run of them can be scored apart.
struct BlockPart {
  int64_t before = 0, after = 0;
};

// What of a pair's attention is its score: the softmax weight as it is, or times the norm of what its value adds to the
// stream and over the norm of the row that looks at it (KVzip+, on backends that weigh scores).
enum class ScoreMethod { kKvzip, kKvzipPlus };

// The context's repetition and what becomes of it; `Kinds`: the sweeps that a call can make.
template <typename... Kinds>
struct Scoring {
  std::vector<Chunk> chunks;  // in a row; at least one
  std::variant<Kinds...> kind;
  ScoreMethod method = ScoreMethod::kKvzip;
};

// All calls throw Error (one sentence) for what does not fit the model, NotFinite, and Aborted when asked to stop.
// Memory is the engine's own at most: weights are mapped and not counted. Kernel times: where the device's time went, when
// the backend times its work.

struct ScoreParams {
  Text text;
  Scoring<FullSweep, ChunkSweep, BlockPart> scoring;  // chunks cover the context
  bool want_pairs = false;
};

struct ScoreResult {
  // (KV heads of the scored layers) over the context: maximum, mean and 99th percentile (nearest rank)
  std::vector<float> max, mean, p99;
  std::vector<float> pairs;  // (KV heads of the scored layers, context) when wanted
  std::vector<KernelTime> kernels;
  size_t peak_bytes = 0;
};

ScoreResult score(Backend& backend, const Model& model, const ScoreParams& params, JobControl& control);

// What a prefill does with each layer's KV before it goes on to the next: the peak is what is kept and one layer.
struct KeepAll {};
struct HeadMask {
  std::vector<uint8_t> keep;  // (KV heads of the scored layers): those at 0 lose their context,
  Window window;              // or become streaming heads
};
struct Scored {  // pairs are scored on the way, and all are kept unless there is a rule
  Scoring<FullSweep, ChunkSweep, BlockSweep> scoring;  // chunks cover the context
  std::optional<UniformRule> uniform;                  // every head keeps its best entries
};

struct PrefillParams {
  Text text;
  std::variant<KeepAll, HeadMask, Scored> eviction;
  int64_t tile_rows = 0;  // most rows of a pass; 0: the backend's choice
};

struct PrefillResult {
  std::unique_ptr<KvCache> cache;
  std::vector<float> pairs;  // (KV heads of the scored layers, context) with Scored
  std::vector<KernelTime> kernels;
  size_t peak_bytes = 0;
};

PrefillResult prefill(Backend& backend, const Model& model, const PrefillParams& params, JobControl& control);

struct ScoreChunksParams {
  std::vector<int32_t> prefix, context;     // that the cache was made of
  Scoring<FullSweep, ChunkSweep> scoring;   // any chunks in a row
};

struct ScoreChunksResult {
  std::vector<float> pairs;  // (KV heads of the scored layers, positions of the chunks)
  size_t peak_bytes = 0;
};

// `full` holds every entry of prefix and context, which are not read again, and stays as it is.
ScoreChunksResult score_chunks(Backend& backend, const Model& model, const KvCache& full, const ScoreChunksParams& params,
                               JobControl& control);

}  // namespace headzip
