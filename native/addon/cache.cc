#include "args.h"
#include "engine.h"
#include "../error.h"

namespace headzip::addon {

Napi::Function Cache::define(Napi::Env env) {
  return DefineClass(env, "Cache",
                     {InstanceMethod<&Cache::info>("info"), InstanceMethod<&Cache::last_logits>("lastLogits"),
                      InstanceMethod<&Cache::clone>("clone"), InstanceMethod<&Cache::retain_heads>("retainHeads"),
                      InstanceMethod<&Cache::retain_pairs>("retainPairs"), InstanceMethod<&Cache::close>("close")});
}

Napi::Value Cache::wrap(Napi::Env env, std::shared_ptr<SharedCache> cache) {
  auto external = Napi::External<std::shared_ptr<SharedCache>>::New(env, &cache);
  return env.GetInstanceData<Constructors>()->cache.New({external});
}

Cache::Cache(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) refuse(info.Env(), "a Cache comes from prefill, not from new");
  shared_ = *info[0].As<Napi::External<std::shared_ptr<SharedCache>>>().Data();
  account(info.Env());
}

Cache::~Cache() { Napi::MemoryManagement::AdjustExternalMemory(Env(), -accounted_); }

void Cache::account(Napi::Env env) {
  const int64_t now = shared_ ? static_cast<int64_t>(shared_->cache->allocated_bytes()) : 0;
  Napi::MemoryManagement::AdjustExternalMemory(env, now - accounted_);
  accounted_ = now;
}

std::shared_ptr<SharedCache> Cache::idle(Napi::Env env) const {
  if (!shared_) throw engine_error(env, "this cache is closed");
  if (shared_->busy) throw engine_error(env, "this cache is in use by a running job");
  return shared_;
}

Napi::Value Cache::info(const Napi::CallbackInfo& info) {
  const KvCache& cache = *idle(info.Env())->cache;
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("allocatedBytes", static_cast<double>(cache.allocated_bytes()));
  o.Set("usedBytes", static_cast<double>(cache.used_bytes()));
  o.Set("layers", static_cast<double>(cache.layers.size()));
  o.Set("kvHeads", static_cast<double>(cache.kv_heads));
  o.Set("sink", static_cast<double>(cache.sink));
  o.Set("context", static_cast<double>(cache.context));
  o.Set("position", static_cast<double>(cache.position));
  o.Set("evicted", cache.evicted);
  return o;
}

Napi::Value Cache::last_logits(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), idle(info.Env())->cache->last_logits);
}

Napi::Value Cache::clone(const Napi::CallbackInfo& info) {
  const auto from = idle(info.Env());
  auto copy = std::make_shared<SharedCache>();
  copy->runtime = from->runtime;
  try {
    copy->cache = from->cache->clone();
  } catch (const std::exception& e) {
    throw engine_error(info.Env(), e.what());
  }
  return wrap(info.Env(), std::move(copy));
}

void Cache::retain_heads(const Napi::CallbackInfo& info) {
  const auto shared = idle(info.Env());
  try {
    shared->cache->retain_heads(bytes(info[0], "mask"));
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
  account(info.Env());
}

void Cache::retain_pairs(const Napi::CallbackInfo& info) {
  const auto shared = idle(info.Env());
  try {
    shared->cache->retain_pairs(bytes(info[0], "mask"));
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
  account(info.Env());
}

void Cache::close(const Napi::CallbackInfo& info) {
  if (!shared_) return;
  idle(info.Env());
  shared_.reset();
  account(info.Env());
}

}  // namespace headzip::addon
