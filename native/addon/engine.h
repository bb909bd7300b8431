// JavaScript objects over the engine: Engine (a model on a device) and Cache (a prefilled context).
#pragma once
#include <napi.h>

#include <functional>
#include <memory>

#include "../kv/kv_cache.h"
#include "engine_lock.h"

namespace headzip::addon {

struct SharedCache {
  std::shared_ptr<Runtime> runtime;  // whose memory it is
  std::unique_ptr<KvCache> cache;
  // Jobs that read it, or the one that changes it; read and written on JavaScript's thread only.
  int readers = 0;
  bool changing = false;
};

// Marks a cache as used by a job from here on; the returned function ends that, on JavaScript's thread.
std::function<void()> occupy(const std::shared_ptr<SharedCache>& shared, bool change);

class Cache final : public Napi::ObjectWrap<Cache> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<SharedCache> cache);
  explicit Cache(const Napi::CallbackInfo& info);
  ~Cache() override;
  // For a job that changes it, and whatever needs it alone: throws when closed or in use.
  std::shared_ptr<SharedCache> idle(Napi::Env env) const;
  // For a job that only reads: throws when closed or being changed.
  std::shared_ptr<SharedCache> readable(Napi::Env env) const;

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value last_logits(const Napi::CallbackInfo& info);
  Napi::Value clone(const Napi::CallbackInfo& info);
  void retain_heads(const Napi::CallbackInfo& info);
  void retain_pairs(const Napi::CallbackInfo& info);
  Napi::Value select_heads(const Napi::CallbackInfo& info);
  Napi::Value select_pairs(const Napi::CallbackInfo& info);
  void rewind(const Napi::CallbackInfo& info);
  Napi::Value geometry(const Napi::CallbackInfo& info);
  Napi::Value lengths(const Napi::CallbackInfo& info);
  Napi::Value windows(const Napi::CallbackInfo& info);
  Napi::Value hold(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  void write(const Napi::CallbackInfo& info);
  void check_weights(const Napi::CallbackInfo& info);
  Napi::Value derived(const Napi::CallbackInfo& info, const SharedCache& from, std::unique_ptr<KvCache> cache);
  void close(const Napi::CallbackInfo& info);
  void account(Napi::Env env);  // tells the garbage collector what this object really weighs

  std::shared_ptr<SharedCache> shared_;
  int64_t accounted_ = 0;
};

class Engine final : public Napi::ObjectWrap<Engine> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Engine(const Napi::CallbackInfo& info);

 private:
  Napi::Value score(const Napi::CallbackInfo& info);
  Napi::Value prefill(const Napi::CallbackInfo& info);
  Napi::Value score_chunks(const Napi::CallbackInfo& info);
  Napi::Value means(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value log_probs(const Napi::CallbackInfo& info);
  Napi::Value restore(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value describe(const Napi::CallbackInfo& info);
  Napi::Value kv_bytes(const Napi::CallbackInfo& info);
  Napi::Value copy_rate(const Napi::CallbackInfo& info);
  void check_weights(const Napi::CallbackInfo& info);
  // The argument as a cache of this engine's, free for a job that changes it or one that reads it.
  std::shared_ptr<SharedCache> cache_of(const Napi::Value& value, const Runtime& runtime, bool change) const;
  void close(const Napi::CallbackInfo& info);
  std::shared_ptr<Runtime> open(Napi::Env env) const;

  std::shared_ptr<Runtime> runtime_;
};

// Throws where a weight file is not as it was when the model was loaded.
void check_unchanged(Napi::Env env, const Runtime& runtime);

// Constructors kept per JavaScript environment: a worker thread has its own.
struct Constructors {
  Napi::FunctionReference cache;
};

}  // namespace headzip::addon
