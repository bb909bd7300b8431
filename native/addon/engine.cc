#include "engine.h"

#include "../cuda/info.h"
#include "../error.h"
#include "args.h"
#include "read_model.h"
#include "worker.h"

namespace headzip::addon {

Napi::Function Engine::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod<&Engine::score>("score"), InstanceMethod<&Engine::prefill>("prefill"),
                      InstanceMethod<&Engine::score_chunks>("scoreChunks"), InstanceMethod<&Engine::means>("means"),
                      InstanceMethod<&Engine::generate>("generate"), InstanceMethod<&Engine::log_probs>("logProbs"),
                      InstanceMethod<&Engine::restore>("restore"), InstanceMethod<&Engine::memory>("memory"),
                      InstanceMethod<&Engine::copy_rate>("copyRate"), InstanceMethod<&Engine::describe>("describe"),
                      InstanceMethod<&Engine::kv_bytes>("kvBytes"), InstanceMethod<&Engine::check_weights>("checkWeights"),
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
  const bool timed = boolean(field(options, "kernelTimes"), "kernelTimes");
  try {
    if (seed != 0 && device != "cuda") throw Error("random weights are for benchmarks of the cuda device");
    auto runtime = std::make_shared<Runtime>();
    runtime->model = open_model(read_spec(field(options, "spec")), read_paths(field(options, "files")),
                                read_weights(field(options, "weights")));
    if (device == "cpu") runtime->backend = make_cpu_backend(static_cast<int>(threads));
    else if (device == "cuda")
      runtime->backend = make_cuda_backend(static_cast<size_t>(memory), static_cast<uint64_t>(seed), timed);
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
  const auto work = [=] { run_job(*runtime, *state, [&] { *rate = runtime->backend->copy_rate(); }); };
  return start(info.Env(), state, work, [=](Napi::Env e) -> Napi::Value { return Napi::Number::New(e, *rate); });
}

}  // namespace headzip::addon
