// The CPU backend: fp32 activations in host memory, weights read from their stored type.
#pragma once
#include <vector>

#include "../weights/dequantize.h"
#include "kernels.h"
#include "kv_layer.h"
#include "memory.h"
#include "stored.h"
#include "thread_pool.h"

namespace headzip::cpu {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads);
  const char* name() const override { return "cpu"; }
  Element element() const override { return Element::kF32; }
  OwnedRows rows(int64_t count, int64_t width) override;
  std::unique_ptr<KvLayer> kv(int64_t kv_heads, int64_t head_dim, int64_t capacity) override;
  ScoreBuffer scores(int64_t kv_heads, int64_t positions) override;
  void clear(const ScoreBuffer& scores) override;
  void download(const ScoreBuffer& scores, float* out) override;
  int64_t tile_rows(const ModelSpec& spec) const override;
  void begin(const Model& model, size_t working_bytes) override;
  void rms_norm(Rows x, const Weight& weight, const NormParams& params, Rows out) override;
  void linear(Rows x, std::span<const LinearParams> batch) override;
  void rope(Rows x, int64_t heads, const RopeRef& rope, int64_t position) override;
  void append(KvLayer& kv, Rows k, Rows v) override;
  void attention(const AttentionSpec& spec, std::span<const AttentionParams> batch) override;
  bool weighs_scores() const override { return true; }
  bool value_norms(const Weight& o, const KvLayer& kv, int64_t begin, int64_t count, const ScoreBuffer& out) override;
  void row_norms(Rows x, const ScoreBuffer& out) override;
  void act_and_mul(Activation activation, Rows gate, Rows up) override;
  void gather(Rows x, std::span<const int32_t> index, Rows out) override;
  void scatter_add(Rows x, std::span<const int32_t> index, std::span<const float> weight, Rows out) override;
  void download(Rows x, float* out) override;
  std::vector<Argmax> argmax(Rows x) override;
  bool finite(Rows x) override;
  size_t allocated_bytes() const override { return meter_->now(); }
  size_t peak_bytes() const override { return meter_->peak(); }
  void reset_peak() override { meter_->reset_peak(); }

 private:
  void embed_rows(const Weight& table, std::span<const int32_t> ids, float scale, Rows out) override;
  // Whether this batch is one query over one segment without windows, outputs only.
  static bool decodes(std::span<const AttentionParams> batch);
  void decode_attention(const AttentionSpec& spec, const AttentionParams& params);
  void packed_linear(Rows x, std::span<const LinearParams> batch);
  void few_rows_linear(Rows x, std::span<const LinearParams> batch);
  void parallel(int64_t tasks, const std::function<void(int64_t, int)>& fn);
  // fn(row), in tasks of as many rows as pay for handing one out
  void each_row(int64_t rows, int64_t width, const std::function<void(int64_t)>& fn);
  // Grows, never shrinks, while the backend lives.
  float* scratch(Floats& buffer, int64_t floats);

  // Cosines and sines of every position so far that a rope was asked for: layers that share a rope share them.
  struct RotaryTable {
    RopeRef rope;
    Floats table;  // (positions, 2 * pairs): cosines, then sines
    int64_t positions = 0;
    bool used = true;  // since the last begin()
  };
  const float* rotary_table(const RopeRef& rope, int64_t positions);

  const Kernels& k_;
  int threads_;
  std::shared_ptr<Meter> meter_ = std::make_shared<Meter>();
  std::vector<RotaryTable> rotary_tables_;
  Floats packed_rows_, packed_panels_, attention_scratch_;
};

inline float* floats(Rows x, int64_t row = 0) {
  return reinterpret_cast<float*>(x.data + static_cast<size_t>(row) * x.row_bytes());
}

}  // namespace headzip::cpu
