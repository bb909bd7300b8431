// Jobs of an engine on a cache: answers and their probabilities, and caches that come from elsewhere.
#include "../error.h"
#include "args.h"
#include "engine.h"
#include "read_params.h"
#include "worker.h"

namespace headzip::addon {

std::shared_ptr<SharedCache> Engine::cache_of(const Napi::Value& value, const Runtime& runtime, bool change) const {
  const Napi::Env env = value.Env();
  const Napi::Object wrapped = object(value, "cache");
  if (!wrapped.InstanceOf(env.GetInstanceData<Constructors>()->cache.Value()))
    refuse(env, "cache must be a Cache of this addon");
  const Cache* cache = Cache::Unwrap(wrapped);
  auto shared = change ? cache->idle(env) : cache->readable(env);
  if (shared->runtime.get() != &runtime) throw engine_error(env, "this cache belongs to another model");
  return shared;
}

std::function<void()> occupy(const std::shared_ptr<SharedCache>& shared, bool change) {
  if (!change) {
    ++shared->readers;
    return [shared] { --shared->readers; };
  }
  shared->changing = true;
  return [shared] { shared->changing = false; };
}

namespace {
Napi::Object to_js(Napi::Env env, const Generation& made) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("ids", addon::to_js(env, made.ids));
  o.Set("stopped", made.stopped);
  o.Set("firstLogits", addon::to_js(env, made.first_logits));
  o.Set("firstTokenSeconds", made.first_token_seconds);
  o.Set("decodeSeconds", made.decode_seconds);
  return o;
}
}  // namespace

Napi::Value Engine::generate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto runtime = open(env);
  const bool update = boolean(info[2], "update"), rewindable = boolean(info[3], "rewindable");
  auto shared = cache_of(info[0], *runtime, update);
  auto batch = std::make_shared<std::vector<GenerateParams>>(read_generate(info[1]));
  if (update && batch->size() != 1) refuse(env, "a conversation goes on with one query at a time");
  auto state = std::make_shared<JobControl>();
  auto feeds = std::make_shared<std::vector<TokenFeed>>(batch->size());
  auto result = std::make_shared<std::vector<Generation>>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] {
      if (update)
        result->push_back(
            converse(*runtime->backend, *runtime->model, *shared->cache, batch->front(), rewindable, *state, feeds->front()));
      else *result = headzip::generate(*runtime->backend, *runtime->model, *shared->cache, *batch, *state, *feeds);
    });
  };
  const auto finish = [=](Napi::Env e) -> Napi::Value {
    Napi::Array all = Napi::Array::New(e, result->size());
    for (uint32_t i = 0; i < result->size(); ++i) all.Set(i, to_js(e, (*result)[i]));
    return all;
  };
  Napi::Object handle = start(env, state, work, finish, occupy(shared, update));
  const auto feed = [feeds](const Napi::CallbackInfo& i) -> TokenFeed& {
    const int64_t index = integer(i[0], "index");
    if (index < 0 || index >= static_cast<int64_t>(feeds->size())) refuse(i.Env(), "index must be that of a query");
    return (*feeds)[static_cast<size_t>(index)];
  };
  handle.Set("takeTokens", Napi::Function::New(env, [feed](const Napi::CallbackInfo& i) -> Napi::Value {
    return addon::to_js(i.Env(), feed(i).take());
  }));
  handle.Set("finish", Napi::Function::New(env, [feed](const Napi::CallbackInfo& i) { feed(i).finish(); }));
  return handle;
}

Napi::Value Engine::log_probs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto runtime = open(env);
  auto shared = cache_of(info[0], *runtime, false);
  auto query = ids(info[1], "query"), answer = ids(info[2], "answer");
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<std::vector<float>>();
  const auto work = [=] {
    run_job(*runtime, *state,
            [&] { *result = headzip::log_probs(*runtime->backend, *runtime->model, *shared->cache, query, answer, *state); });
  };
  return start(env, state, work, [=](Napi::Env e) -> Napi::Value { return addon::to_js(e, *result); }, occupy(shared, false));
}

Napi::Value Engine::restore(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto shared = std::make_shared<SharedCache>();
  shared->runtime = runtime;
  try {
    shared->cache = empty_cache(*runtime->backend, runtime->model->spec, read_cache_shape(info[0]));
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
  return Cache::wrap(info.Env(), std::move(shared));
}

}  // namespace headzip::addon
