// A whole engine on tiny models of its own making: what the sanitizers watch.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../check.h"
#include "backend.h"
#include "kv/kv_cache.h"
#include "sweep/sweep.h"

namespace headzip::test {

// A file of weights, gone with this object, and the model in it.
struct TinyModel {
  std::string name, path;
  std::shared_ptr<const Model> model;
  ~TinyModel();
};

// Sliding layers between scored ones, heads that are normalised, biases, capped logits; weights as they come and in FP8.
std::unique_ptr<TinyModel> hybrid_model();
// Experts, one of them shared by all tokens; weights in blocks of every GGUF type that fits.
std::unique_ptr<TinyModel> moe_model();

std::vector<int32_t> some_ids(int64_t count, int64_t vocab, uint32_t seed);
// Prefix and context, and the context's repetition.
Text text_of(const Model& model, int64_t context);
std::vector<Chunk> chunks_of(const Model& model, const Text& text);
std::unique_ptr<KvCache> prefilled(Backend& backend, const Model& model, const PrefillParams& params);

void scoring(Backend& backend, const TinyModel& tiny);
void generation(Backend& backend, const TinyModel& tiny);
void eviction(Backend& backend, const TinyModel& tiny);
void save_and_restore(Backend& backend, const TinyModel& tiny);
void jobs_side_by_side(const TinyModel& tiny);
void jobs_on_one_engine(const TinyModel& tiny);

}  // namespace headzip::test
