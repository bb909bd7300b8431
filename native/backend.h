// What the sweep needs of a device. The sweep, the cache and decoding are written once against this; CPU and CUDA
// implement it. Activations stay in the backend's own type and memory: the callers only slice rows.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kv/kv_layer.h"
#include "model.h"

namespace headzip {

// Rows of activations, row-major and without gaps: (rows, width) of `element`.
struct Rows {
  std::byte* data = nullptr;
  int64_t rows = 0, width = 0;
  Element element = Element::kF32;
  size_t row_bytes() const { return static_cast<size_t>(width) * bytes_of(element); }
  Rows slice(int64_t first, int64_t count) const {
    return {data + static_cast<size_t>(first) * row_bytes(), count, width, element};
  }
  // The same memory as `count` rows of another width.
  Rows reshape(int64_t count, int64_t columns) const { return {data, count, columns, element}; }
};

// Owns memory of a backend and gives it back.
class Memory {
 public:
  virtual ~Memory() = default;
};

struct OwnedRows : Rows {
  std::unique_ptr<Memory> memory;
};

// (kv_heads, positions) running maxima in the backend's memory; also (heads, entries) or (1, rows) of ScoreWeights.
struct ScoreBuffer {
  float* data = nullptr;
  int64_t kv_heads = 0, positions = 0;
  std::unique_ptr<Memory> memory;
};

// Keys that a tile of queries may see: entries [begin, begin + count) of `kv`, or all from `begin` to the end of each
// head where count < 0. A query sees keys at its own position and before. Under a window the entries of a segment with
// `from_end` stand where they were appended (KvLayer::position).
struct KvSegment {
  KvLayer* kv = nullptr;
  int64_t begin = 0, count = 0;
  int64_t position = 0;   // of the first key; the next one stands one further
  bool from_end = false;  // `position` is the last key's: heads that lost entries still line up with their newest one
  bool in_score = false;  // takes part in the score's softmax
  bool scored = false;    // receives scores (and takes part)
};
constexpr size_t kMaxKvSegments = 8;

// What a softmax weight is multiplied and divided by before the score's maximum (KVzip+), as base-2 logarithms. Lies in
// ScoreBuffers; nullptr: weights are scored as they are.
struct ScoreWeights {
  const float* values = nullptr;  // (heads, value_stride): norm of W_O^h v, by entry of the scored segment's layer
  int64_t value_stride = 0;       // a multiple of 16 that holds all entries: those past the last are read, to no effect
  const float* rows = nullptr;    // (queries): norm of the row that attention was given
};

struct AttentionParams {
  Rows q;                // (queries, heads * head_dim), rotated
  int64_t position = 0;  // of the first query; the next one stands one further
  std::span<const KvSegment> segments;
  Rows out;                 // (queries, heads * head_dim); data == nullptr when only scores are wanted
  int64_t window = 0;       // a query sees its own position and window - 1 before it; 0: all. Scores know no window
  float* scores = nullptr;  // in a ScoreBuffer: maxima over the scored segment's keys are raised from here on; or nullptr
  int64_t score_stride = 0; // from one KV head to the next
  ScoreWeights weights{};
};

struct LinearParams {
  const Weight* weight;
  const Weight* bias = nullptr;  // may point to an empty weight
  Rows out;
  bool add = false;  // out += instead of out =
};

// What a norm does besides: out = x / sqrt(mean(x^2) + eps) * (offset + weight), or out += that.
struct NormParams {
  float eps, offset = 0;
  bool add = false;
};

// The largest value of a row of logits, and its lowest index; the value is no finite number where one of the row is not.
struct Argmax {
  int32_t index = 0;
  float value = 0;
};

// What a backend remembers of work that comes again.
class Recording {
 public:
  virtual ~Recording() = default;
};

// What one kind of work took on the device.
struct KernelTime {
  std::string kind;
  double seconds = 0;
  int64_t spans = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;

  // Throws Error when this device cannot run such a model.
  virtual void check_supported(const ModelSpec&) const {}
  virtual OwnedRows rows(int64_t count, int64_t width) = 0;
  // Rows of the residual stream, which may be kept more exactly: what embed() fills, norms read and linear() adds to.
  virtual OwnedRows stream(int64_t count, int64_t width) { return rows(count, width); }
  virtual std::unique_ptr<KvLayer> kv(int64_t kv_heads, int64_t head_dim, int64_t capacity) = 0;
  virtual ScoreBuffer scores(int64_t kv_heads, int64_t positions) = 0;
  virtual void clear(const ScoreBuffer& scores) = 0;
  virtual void download(const ScoreBuffer& scores, float* out) = 0;
  // Announces a job on this model and how many bytes of rows and KV it will hold, so that weights can be kept or streamed.
  virtual void begin(const Model&, size_t /*working_bytes*/) {}
  // Of activations and KV, and of the residual stream.
  virtual Element element() const = 0;
  virtual Element stream_element() const { return element(); }
  // Announces the layer whose weights come next, so that they can be on their way.
  virtual void enter_layer(const Model&, int64_t) {}
  // Rows that one pass over the linear layers should hold, for the weights' traffic to be paid for.
  virtual int64_t tile_rows(const ModelSpec& spec) const = 0;

  // out = table[ids] * scale. Throws Error for an id that the table has no row for, on every device and whoever chose it.
  void embed(const Weight& table, std::span<const int32_t> ids, float scale, Rows out);
  // `out` may be x. With `add` x holds nothing of use afterwards.
  virtual void rms_norm(Rows x, const Weight& weight, const NormParams& params, Rows out) = 0;
  virtual void linear(Rows x, std::span<const LinearParams> batch) = 0;
  // Rotates the heads of x in place (first half of what is rotated against its second) for positions position, …
  virtual void rope(Rows x, int64_t heads, const RopeRef& rope, int64_t position) = 0;
  // Appends (tokens, kv_heads * head_dim) keys and values to every head. v.data == nullptr: keys only.
  virtual void append(KvLayer& kv, Rows k, Rows v) = 0;
  // Both, and the queries (tokens, heads * head_dim) in place; q.data == nullptr: keys only. Nobody reads k afterwards.
  virtual void rope_append(KvLayer& kv, Rows q, int64_t heads, Rows k, Rows v, const RopeRef& frequencies, int64_t position) {
    rope(k, kv.heads(), frequencies, position);
    append(kv, k, v);
    if (q.data != nullptr) rope(q, heads, frequencies, position);
  }
  virtual void attention(const AttentionSpec& spec, std::span<const AttentionParams> batch) = 0;
  // Whether scores can be weighted. A backend that cannot is asked for neither of the two below.
  virtual bool weighs_scores() const { return false; }
  // Norms of what entries [begin, begin + count) add to the stream through each query head's columns of `o`, to
  // `out` (heads, entries) at their index. False when a value is not finite.
  virtual bool value_norms(const Weight& /*o*/, const KvLayer&, int64_t /*begin*/, int64_t /*count*/,
                           const ScoreBuffer& /*out*/) {
    return false;
  }
  virtual void row_norms(Rows, const ScoreBuffer& /*out*/) {}
  // gate = activation(gate) * up
  virtual void act_and_mul(Activation activation, Rows gate, Rows up) = 0;
  // The GEMMs of gate and up, then act_and_mul() of their outputs. Nobody reads up's rows afterwards.
  virtual void gated_mlp(Activation activation, Rows x, const LinearParams& gate, const LinearParams& up) {
    const LinearParams both[] = {gate, up};
    linear(x, both);
    act_and_mul(activation, gate.out, up.out);
  }
  // out[i] = x[index[i]]
  virtual void gather(Rows x, std::span<const int32_t> index, Rows out) = 0;
  // out[index[i]] += weight[i] * x[i]; no row stands in the index twice.
  virtual void scatter_add(Rows x, std::span<const int32_t> index, std::span<const float> weight, Rows out) = 0;
  // Copies rows to host memory as fp32, (rows, width).
  virtual void download(Rows x, float* out) = 0;
  // The largest value of every row. The host waits for it and nothing else.
  virtual std::vector<Argmax> argmax(Rows x) = 0;
  // Runs `step`, which appends to KV layers that have room and differs from the last time only in that their entries, and
  // the positions of its rows, go on by what it appended. A backend may play back what it recorded in `recording`
  // instead; the caller drops that when anything else changes. Host results do not come back this way.
  virtual void replay(std::unique_ptr<Recording>& /*recording*/, const std::function<void()>& step) { step(); }
  // False when a value is not finite. A backend that works ahead of its caller may say so only when synchronize() is called,
  // and find it only when the next norm or rope reads it.
  virtual bool finite(Rows x) = 0;
  virtual bool synchronize() { return true; }
  // Called between tiles: keeps a backend that works ahead from running away from progress and abort.
  virtual void throttle() {}

  virtual size_t allocated_bytes() const = 0;
  virtual size_t peak_bytes() const = 0;
  virtual void reset_peak() = 0;
  // Bytes in use on the device, by everybody; 0 where the device has no memory of its own.
  virtual size_t device_bytes() const { return 0; }
  // Bytes a second that a large copy reads and writes, both counted; 0 where nobody asks.
  virtual double copy_rate() { return 0; }
  // Since the last call; empty where nothing is timed.
  virtual std::vector<KernelTime> kernel_times() { return {}; }

 private:
  // embed() of ids that are all in the table.
  virtual void embed_rows(const Weight& table, std::span<const int32_t> ids, float scale, Rows out) = 0;
};

// `threads` 0: all cores. Throws Error when the device cannot be used.
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace headzip
