#include "args.h"
#include "engine.h"
#include "read_params.h"
#include "../error.h"

namespace headzip::addon {

Napi::Function Cache::define(Napi::Env env) {
  return DefineClass(env, "Cache",
                     {InstanceMethod<&Cache::info>("info"), InstanceMethod<&Cache::last_logits>("lastLogits"),
                      InstanceMethod<&Cache::clone>("clone"), InstanceMethod<&Cache::retain_heads>("retainHeads"),
                      InstanceMethod<&Cache::retain_pairs>("retainPairs"), InstanceMethod<&Cache::select_heads>("selectHeads"),
                      InstanceMethod<&Cache::select_pairs>("selectPairs"), InstanceMethod<&Cache::rewind>("rewind"),
                      InstanceMethod<&Cache::lengths>("lengths"), InstanceMethod<&Cache::windows>("windows"),
                      InstanceMethod<&Cache::hold>("hold"), InstanceMethod<&Cache::read>("read"),
                      InstanceMethod<&Cache::write>("write"), InstanceMethod<&Cache::check_weights>("checkWeights"),
                      InstanceMethod<&Cache::geometry>("geometry"), InstanceMethod<&Cache::close>("close")});
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

std::shared_ptr<SharedCache> Cache::readable(Napi::Env env) const {
  if (!shared_) throw engine_error(env, "this cache is closed");
  if (shared_->changing) throw engine_error(env, "this cache is in use by a running job");
  return shared_;
}

std::shared_ptr<SharedCache> Cache::idle(Napi::Env env) const {
  auto shared = readable(env);
  if (shared->readers > 0) throw engine_error(env, "this cache is in use by a running job");
  return shared;
}

namespace {

// Native errors become JavaScript ones that name them; what JavaScript threw passes.
template <typename F>
auto guarded(Napi::Env env, F&& call) {
  try {
    return call();
  } catch (const Error& e) {
    throw engine_error(env, e.what());
  } catch (const std::bad_alloc&) {
    throw engine_error(env, "not enough memory for this cache");
  }
}

Window optional_window(const Napi::Value& value) {
  return value.IsNull() || value.IsUndefined() ? Window{} : read_window(value);
}

// (layer, head, first entry, entries) of a part of a cache, checked.
struct Part {
  int64_t layer, head, from, count;
  size_t bytes;  // of its keys, and of its values
};

Part read_part(const Napi::CallbackInfo& info, const SharedCache& shared) {
  const Part p{integer(info[0], "layer"), integer(info[1], "head"), integer(info[2], "from"), integer(info[3], "count"), 0};
  const KvCache& cache = *shared.cache;
  if (p.layer < 0 || p.layer >= static_cast<int64_t>(cache.layers.size()) || p.head < 0 || p.head >= cache.kv(p.layer).heads())
    refuse(info.Env(), "layer and head must be those of the cache");
  if (p.from < 0 || p.count < 0 || p.from + p.count > cache.kv(p.layer).length(p.head))
    refuse(info.Env(), "from and count must lie within the head's entries");
  const auto values = static_cast<size_t>(p.count * cache.kv(p.layer).head_dim());
  return {p.layer, p.head, p.from, p.count, values * bytes_of(shared.runtime->backend->element())};
}

}  // namespace

Napi::Value Cache::info(const Napi::CallbackInfo& info) {
  const KvCache& cache = *readable(info.Env())->cache;
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("allocatedBytes", static_cast<double>(cache.allocated_bytes()));
  o.Set("usedBytes", static_cast<double>(cache.used_bytes()));
  o.Set("layers", static_cast<double>(cache.layers.size()));
  o.Set("scoredLayers", static_cast<double>(cache.scored.size()));
  o.Set("prefix", static_cast<double>(cache.prefix));
  o.Set("context", static_cast<double>(cache.context));
  o.Set("position", static_cast<double>(cache.position));
  o.Set("evicted", cache.evicted);
  return o;
}

Napi::Value Cache::last_logits(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), readable(info.Env())->cache->last_logits);
}

Napi::Value Cache::derived(const Napi::CallbackInfo& info, const SharedCache& from, std::unique_ptr<KvCache> cache) {
  auto shared = std::make_shared<SharedCache>();
  shared->runtime = from.runtime;
  shared->cache = std::move(cache);
  return wrap(info.Env(), std::move(shared));
}

Napi::Value Cache::clone(const Napi::CallbackInfo& info) {
  const auto from = idle(info.Env());
  return derived(info, *from, guarded(info.Env(), [&] { return from->cache->clone(); }));
}

void Cache::retain_heads(const Napi::CallbackInfo& info) {
  const auto shared = idle(info.Env());
  const auto mask = bytes(info[0], "mask");
  const Window window = optional_window(info[1]);
  guarded(info.Env(), [&] { shared->cache->retain_heads(mask, window); });
  account(info.Env());
}

void Cache::retain_pairs(const Napi::CallbackInfo& info) {
  const auto shared = idle(info.Env());
  const auto mask = bytes(info[0], "mask");
  guarded(info.Env(), [&] { shared->cache->retain_pairs(mask); });
  account(info.Env());
}

Napi::Value Cache::select_heads(const Napi::CallbackInfo& info) {
  const auto from = idle(info.Env());
  const auto mask = bytes(info[0], "mask");
  const Window window = optional_window(info[1]);
  return derived(info, *from, guarded(info.Env(), [&] { return from->cache->select_heads(mask, window); }));
}

Napi::Value Cache::select_pairs(const Napi::CallbackInfo& info) {
  const auto from = idle(info.Env());
  const auto mask = bytes(info[0], "mask");
  return derived(info, *from, guarded(info.Env(), [&] { return from->cache->select_pairs(mask); }));
}

void Cache::rewind(const Napi::CallbackInfo& info) {
  const auto shared = idle(info.Env());
  const int64_t position = integer(info[0], "position");
  guarded(info.Env(), [&] { shared->cache->rewind(position); });
}

Napi::Value Cache::lengths(const Napi::CallbackInfo& info) {
  return to_js32(info.Env(), readable(info.Env())->cache->lengths());
}

Napi::Value Cache::windows(const Napi::CallbackInfo& info) {
  const auto shared = readable(info.Env());
  std::vector<int64_t> all;
  const KvCache& cache = *shared->cache;
  for (int64_t l = 0; l < cache.layer_count(); ++l)
    for (int64_t h = 0; h < cache.kv(l).heads(); ++h) {
      all.push_back(cache.kv(l).window(h).sink);
      all.push_back(cache.kv(l).window(h).recent);
    }
  return to_js32(info.Env(), all);
}

// Keeps the cache from being changed or closed until the returned function is called.
Napi::Value Cache::hold(const Napi::CallbackInfo& info) {
  const auto shared = readable(info.Env());
  ++shared->readers;
  auto held = std::make_shared<bool>(true);
  return Napi::Function::New(info.Env(), [shared, held](const Napi::CallbackInfo&) {
    if (*held) --shared->readers;
    *held = false;
  });
}

Napi::Value Cache::read(const Napi::CallbackInfo& info) {
  const auto shared = readable(info.Env());
  const Part p = read_part(info, *shared);
  auto out = Napi::Uint8Array::New(info.Env(), 2 * p.bytes + p.count * sizeof(int32_t));
  auto* k = reinterpret_cast<std::byte*>(out.Data());
  auto* positions = reinterpret_cast<int32_t*>(k + 2 * p.bytes);
  const KvLayer& layer = shared->cache->kv(p.layer);
  guarded(info.Env(), [&] { layer.read(p.head, p.from, p.count, k, k + p.bytes); });
  for (int64_t i = 0; i < p.count; ++i) positions[i] = static_cast<int32_t>(layer.position(p.head, p.from + i));
  return out;
}

void Cache::write(const Napi::CallbackInfo& info) {
  const auto shared = idle(info.Env());
  const Part p = read_part(info, *shared);
  // A copy of its own: the bytes of a view may start at any address.
  const auto data = bytes(info[4], "data");
  if (data.size() != 2 * p.bytes + p.count * sizeof(int32_t))
    refuse(info.Env(), "data must hold the keys, values and positions of its entries");
  const auto* k = reinterpret_cast<const std::byte*>(data.data());
  const auto* positions = reinterpret_cast<const int32_t*>(k + 2 * p.bytes);
  KvLayer& layer = shared->cache->kv(p.layer);
  int64_t before = p.from > 0 ? layer.position(p.head, p.from - 1) : -1;
  for (int64_t i = 0; i < p.count; ++i) {
    if (positions[i] <= before || positions[i] >= shared->cache->position)
      refuse(info.Env(), "positions must ascend and lie within the cache");
    before = positions[i];
  }
  guarded(info.Env(), [&] { layer.write(p.head, p.from, p.count, k, k + p.bytes, positions); });
}

void Cache::check_weights(const Napi::CallbackInfo& info) { check_unchanged(info.Env(), *readable(info.Env())->runtime); }

void Cache::close(const Napi::CallbackInfo& info) {
  if (!shared_) return;
  idle(info.Env());
  shared_.reset();
  account(info.Env());
}

}  // namespace headzip::addon
