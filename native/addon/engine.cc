#include "engine.h"

#include "../cuda/info.h"
#include "../decode/generate.h"
#include "../error.h"
#include "../sweep/sweep.h"
#include "args.h"
#include "spec.h"
#include "worker.h"

namespace headzip::addon {

Turn::Turn(Runtime& runtime, const Job& job) : runtime_(runtime) {
  while (!runtime_.turn.try_lock_for(std::chrono::milliseconds(20))) job.check();
}

Napi::Function Engine::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod<&Engine::sweep>("sweep"), InstanceMethod<&Engine::generate>("generate"),
                      InstanceMethod<&Engine::close>("close")});
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
  try {
    if (seed != 0 && device != "cuda") throw Error("random weights are for benchmarks of the cuda device");
    auto runtime = std::make_shared<Runtime>();
    runtime->model = open_model(read_spec(field(options, "spec")), read_paths(field(options, "files")),
                                read_weights(field(options, "weights")));
    if (device == "cpu") runtime->backend = make_cpu_backend(static_cast<int>(threads));
    else if (device == "cuda") runtime->backend = make_cuda_backend(static_cast<size_t>(memory), static_cast<uint64_t>(seed));
    else throw Error("the device must be cpu or cuda, got " + device);
    runtime_ = std::move(runtime);
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
}

std::shared_ptr<Runtime> Engine::open(Napi::Env env) const {
  if (!runtime_) throw engine_error(env, "this model is closed");
  return runtime_;
}

void Engine::close(const Napi::CallbackInfo&) { runtime_.reset(); }

Napi::Value Engine::sweep(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  auto job = std::make_shared<SweepJob>(read_sweep(info[0]));
  auto state = std::make_shared<Job>();
  auto result = std::make_shared<SweepResult>();
  const auto work = [=] {
    const Turn turn(*runtime, *state);
    *result = run_sweep(*runtime->backend, *runtime->model, *job, *state);
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("max", to_js(env, result->max));
    o.Set("mean", to_js(env, result->mean));
    o.Set("p99", to_js(env, result->p99));
    o.Set("pairs", job->want_pairs ? to_js(env, result->pairs) : env.Null());
    o.Set("peakBytes", static_cast<double>(result->peak_bytes));
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

Napi::Value Engine::generate(const Napi::CallbackInfo& info) {
  auto runtime = open(info.Env());
  const Napi::Object wrapped = object(info[0], "cache");
  if (!wrapped.InstanceOf(info.Env().GetInstanceData<Constructors>()->cache.Value()))
    refuse(info.Env(), "cache must be a Cache of this addon");
  auto shared = Cache::Unwrap(wrapped)->idle(info.Env());
  if (shared->runtime != runtime) throw engine_error(info.Env(), "this cache belongs to another model");
  auto job = std::make_shared<GenerateJob>(read_generate(info[1]));
  auto state = std::make_shared<Job>();
  auto feed = std::make_shared<TokenFeed>();
  auto result = std::make_shared<Generation>();
  shared->busy = true;
  const auto work = [=] {
    const Turn turn(*runtime, *state);
    *result = headzip::generate(*runtime->backend, *runtime->model, *shared->cache, *job, *state, *feed);
  };
  const auto finish = [=](Napi::Env env) -> Napi::Value {
    Napi::Object o = Napi::Object::New(env);
    o.Set("ids", to_js(env, result->ids));
    o.Set("firstLogits", to_js(env, result->first_logits));
    o.Set("firstTokenSeconds", result->first_token_seconds);
    o.Set("decodeSeconds", result->decode_seconds);
    return o;
  };
  Napi::Object handle = start(info.Env(), state, work, finish, [shared] { shared->busy = false; });
  handle.Set("takeTokens", Napi::Function::New(info.Env(), [feed](const Napi::CallbackInfo& i) -> Napi::Value {
    return to_js(i.Env(), feed->take());
  }));
  return handle;
}

}  // namespace headzip::addon
