#include "engine.h"

#include "../cuda/info.h"
#include "../decode/generate.h"
#include "../error.h"
#include "../sweep/means.h"
#include "../sweep/sweep.h"
#include "args.h"
#include "spec.h"
#include "worker.h"

namespace headzip::addon {

Napi::Function Engine::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod<&Engine::sweep>("sweep"), InstanceMethod<&Engine::generate>("generate"),
                      InstanceMethod<&Engine::log_probs>("logProbs"), InstanceMethod<&Engine::restore>("restore"),
                      InstanceMethod<&Engine::score_chunks>("scoreChunks"), InstanceMethod<&Engine::means>("means"),
                      InstanceMethod<&Engine::memory>("memory"), InstanceMethod<&Engine::copy_rate>("copyRate"),
                      InstanceMethod<&Engine::describe>("describe"), InstanceMethod<&Engine::kv_bytes>("kvBytes"),
                      InstanceMethod<&Engine::check_weights>("checkWeights"), InstanceMethod<&Engine::close>("close")});
}

Engine::Engine(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const Napi::Object options = object(info[0], "options");
  const std::string device = text(field(options, "device"), "device");
  const int64_t threads = integer(field(options, "threads"), "threads");
  if (threads < 0 || threads > 4096) refuse(info.Env(), "threads must be between 0 and 4096");
  const int64_t memory = integer(field(options, "gpuMemory"), "gpuMemory");
  if (memory < 0) refuse(info.Env(), "gpuMemory must not be negative");
  const int64_t seed = integer(field(options, "randomWeights"), "randomWeights");
  if (seed < 0) refuse(info.Env(), "randomWeights must not be negative");
  const bool timed = boolean(field(options, "kernelTimes"), "kernelTimes");
  try {
    if (seed != 0 && device != "cuda") throw Error("random weights are for benchmarks of the cuda device");
    auto runtime = std::make_shared<Runtime>();
    runtime->model = open_model(read_spec(field(options, "spec")), read_paths(field(options, "files")),
                                read_weights(field(options, "weights")));
    if (device == "cpu") runtime->backend = make_cpu_backend(static_cast<int>(threads));
    else if (device == "cuda") runtime->backend = make_cuda_backend(static_cast<size_t>(memory), static_cast<uint64_t>(seed), timed);
    else throw Error("the device must be cpu or cuda, got " + device);
    runtime->backend->check_supported(runtime->model->spec);
    runtime_ = std::move(runtime);
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
}

std::shared_ptr<Runtime> Engine::open(Napi::Env env) const {
  if (!runtime_) throw engine_error(env, "this model is closed");
  return runtime_;
}

void check_unchanged(Napi::Env env, const Runtime& runtime) {
  try {
    runtime.model->check_unchanged();
  } catch (const Error& e) {
    throw engine_error(env, e.what());
  }
}

void Engine::check_weights(const Napi::CallbackInfo& info) { check_unchanged(info.Env(), *open(info.Env())); }

void Engine::close(const Napi::CallbackInfo&) { runtime_.reset(); }

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

Napi::Value Engine::sweep(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto params = std::make_shared<SweepParams>(read_sweep(info[0]));
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<SweepResult>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] {
      *result = run_sweep(*runtime->backend, *runtime->model, *params, *state);
    });
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("max", addon::to_js(env, result->max));
    o.Set("mean", addon::to_js(env, result->mean));
    o.Set("p99", addon::to_js(env, result->p99));
    o.Set("pairs", params->want_pairs ? addon::to_js(env, result->pairs) : env.Null());
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
    o.Set("kernels", to_js(env, result->kernels));
    o.Set("cache", env.Null());
    if (result->cache) {
      auto shared = std::make_shared<SharedCache>();
      shared->runtime = runtime;
      shared->cache = std::move(result->cache);
      o.Set("cache", Cache::wrap(env, std::move(shared)));
    }
    return o;
  };
  return start(info.Env(), state, work, finish);
}

Napi::Value Engine::means(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto params = std::make_shared<MeansParams>(read_means(info[0]));
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<MeansResult>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] {
      *result = run_means(*runtime->backend, *runtime->model, *params, *state);
    });
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

std::shared_ptr<SharedCache> Engine::cache_of(const Napi::Value& value, const Runtime& runtime, bool change) const {
  const Napi::Env env = value.Env();
  const Napi::Object wrapped = object(value, "cache");
  if (!wrapped.InstanceOf(env.GetInstanceData<Constructors>()->cache.Value())) refuse(env, "cache must be a Cache of this addon");
  const Cache* cache = Cache::Unwrap(wrapped);
  auto shared = change ? cache->idle(env) : cache->readable(env);
  if (shared->runtime.get() != &runtime) throw engine_error(env, "this cache belongs to another model");
  return shared;
}

namespace {

// Marks a cache as used by a job from here on; the returned function ends that, on JavaScript's thread.
std::function<void()> occupy(const std::shared_ptr<SharedCache>& shared, bool change) {
  if (!change) {
    ++shared->readers;
    return [shared] { --shared->readers; };
  }
  shared->changing = true;
  return [shared] { shared->changing = false; };
}

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

Napi::Value Engine::score_chunks(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto shared = cache_of(info[0], *runtime, false);
  auto params = std::make_shared<SweepParams>(read_sweep(info[1]));
  params->full = shared->cache.get();
  auto state = std::make_shared<JobControl>();
  auto result = std::make_shared<SweepResult>();
  const auto work = [=] {
    run_job(*runtime, *state, [&] {
      *result = run_sweep(*runtime->backend, *runtime->model, *params, *state);
    });
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("pairs", addon::to_js(env, result->pairs));
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
    return o;
  };
  return start(info.Env(), state, work, finish, occupy(shared, false));
}

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
      if (update) result->push_back(converse(*runtime->backend, *runtime->model, *shared->cache, batch->front(), rewindable, *state, feeds->front()));
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
    run_job(*runtime, *state, [&] {
      *result = headzip::log_probs(*runtime->backend, *runtime->model, *shared->cache, query, answer, *state);
    });
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

Napi::Value Engine::memory(const Napi::CallbackInfo& info) {
  const auto runtime = open(info.Env());
  Napi::Object o = Napi::Object::New(info.Env());
  try {
    o.Set("allocatedBytes", static_cast<double>(runtime->backend->allocated_bytes()));
    o.Set("deviceBytes", static_cast<double>(runtime->backend->device_bytes()));
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
  return o;
}

Napi::Value Engine::copy_rate(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto state = std::make_shared<JobControl>();
  auto rate = std::make_shared<double>(0);
  const auto work = [=] {
    run_job(*runtime, *state, [&] {
      *rate = runtime->backend->copy_rate();
    });
  };
  return start(info.Env(), state, work, [=](Napi::Env e) -> Napi::Value { return Napi::Number::New(e, *rate); });
}

}  // namespace headzip::addon
