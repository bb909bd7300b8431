// Jobs of an engine that read a text: the sweep's three calls, and the means.
#include "../error.h"
#include "args.h"
#include "engine.h"
#include "read_params.h"
#include "worker.h"

namespace headzip::addon {

namespace {
Napi::Array to_js(Napi::Env env, const std::vector<KernelTime>& kernels) {
  Napi::Array all = Napi::Array::New(env, kernels.size());
  for (uint32_t i = 0; i < kernels.size(); ++i) {
    Napi::Object o = Napi::Object::New(env);
    o.Set("kind", kernels[i].kind);
    o.Set("seconds", kernels[i].seconds);
    o.Set("spans", static_cast<double>(kernels[i].spans));
    all.Set(i, o);
  }
  return all;
}
}  // namespace

Napi::Value Engine::score(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto params = std::make_shared<ScoreParams>(read_score(info[0]));
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<ScoreResult>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] { *result = headzip::score(*runtime->backend, *runtime->model, *params, *state); });
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("max", addon::to_js(env, result->max));
    o.Set("mean", addon::to_js(env, result->mean));
    o.Set("p99", addon::to_js(env, result->p99));
    o.Set("pairs", params->want_pairs ? addon::to_js(env, result->pairs) : env.Null());
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
    o.Set("kernels", to_js(env, result->kernels));
    return o;
  };
  return start(info.Env(), state, work, finish);
}

Napi::Value Engine::prefill(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto params = std::make_shared<PrefillParams>(read_prefill(info[0]));
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<PrefillResult>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] { *result = headzip::prefill(*runtime->backend, *runtime->model, *params, *state); });
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    auto shared = std::make_shared<SharedCache>();
    shared->runtime = runtime;
    shared->cache = std::move(result->cache);
    Napi::Object o = Napi::Object::New(env);
    o.Set("cache", Cache::wrap(env, std::move(shared)));
    o.Set("pairs", std::holds_alternative<Scored>(params->eviction) ? addon::to_js(env, result->pairs) : env.Null());
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
    o.Set("kernels", to_js(env, result->kernels));
    return o;
  };
  return start(info.Env(), state, work, finish);
}

Napi::Value Engine::score_chunks(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto shared = cache_of(info[0], *runtime, false);
  auto params = std::make_shared<ScoreChunksParams>(read_score_chunks(info[1]));
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<ScoreChunksResult>();
  const auto work = [=] {
    run_job(*runtime, *state,
            [&] { *result = headzip::score_chunks(*runtime->backend, *runtime->model, *shared->cache, *params, *state); });
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("pairs", addon::to_js(env, result->pairs));
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
    return o;
  };
  return start(info.Env(), state, work, finish, occupy(shared, false));
}

Napi::Value Engine::means(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto params = std::make_shared<MeansParams>(read_means(info[0]));
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<MeansResult>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] { *result = run_means(*runtime->backend, *runtime->model, *params, *state); });
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("queries", to_js(env, result->queries));
    o.Set("keys", to_js(env, result->keys));
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
    return o;
  };
  return start(info.Env(), state, work, finish);
}

}  // namespace headzip::addon
