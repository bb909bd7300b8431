// The one way native work runs: off the main thread, every exception caught, watched and stopped through a handle.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <new>

#include "../error.h"
#include "../job_control.h"
#include "args.h"

namespace headzip::addon {

class Worker final : public Napi::AsyncWorker {
 public:
  // `work` runs on another thread and touches no JavaScript value; `finish` makes the result. `release` runs before the
  // promise settles, on JavaScript's own thread: what a job holds stays held until its caller can know that it ended.
  Worker(Napi::Env env, std::function<void()> work, std::function<Napi::Value(Napi::Env)> finish, std::function<void()> release)
      : AsyncWorker(env, "headzip"), work_(std::move(work)), finish_(std::move(finish)), release_(std::move(release)),
        result_(env) {}
  Napi::Promise promise() const { return result_.Promise(); }

 protected:
  void Execute() override {
    try {
      work_();
    } catch (const Aborted& e) {
      code_ = "HEADZIP_ABORTED";
      SetError(e.what());
    } catch (const std::bad_alloc&) {
      SetError("not enough memory for this job");
    } catch (const std::exception& e) {
      SetError(e.what());
    } catch (...) {
      SetError("the engine failed in an unknown way");
    }
  }
  void OnOK() override {
    settle([this] { result_.Resolve(finish_(Env())); });
  }
  void OnError(const Napi::Error& e) override {
    settle([&] { result_.Reject(engine_error(Env(), e.Message(), code_).Value()); });
  }

 private:
  template <typename F>
  void settle(F&& tell) {
    const Napi::HandleScope scope(Env());
    release_();
    try {
      tell();
    } catch (const Napi::Error&) {
      // A worker thread that is being ended takes no more calls: there is nobody left to tell.
    } catch (const std::exception& e) {
      reject(e.what());
    }
  }
  void reject(const char* why) {
    try {
      result_.Reject(engine_error(Env(), why, code_).Value());
    } catch (const Napi::Error&) {
    }
  }

  std::function<void()> work_;
  std::function<Napi::Value(Napi::Env)> finish_;
  std::function<void()> release_;
  Napi::Promise::Deferred result_;
  const char* code_ = "HEADZIP_ENGINE";
};

// { promise, progress(): [done, total], abort() }
inline Napi::Object start(Napi::Env env, std::shared_ptr<JobControl> state, std::function<void()> work,
                          std::function<Napi::Value(Napi::Env)> finish, std::function<void()> release = [] {}) {
  auto* worker = new Worker(env, std::move(work), std::move(finish), std::move(release));
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("promise", worker->promise());
  handle.Set("progress", Napi::Function::New(env, [state](const Napi::CallbackInfo& info) -> Napi::Value {
    Napi::Array pair = Napi::Array::New(info.Env(), 2);
    pair.Set(0u, state->done.load());
    pair.Set(1u, state->total.load());
    return pair;
  }));
  handle.Set("abort", Napi::Function::New(env, [state](const Napi::CallbackInfo&) { state->aborted = true; }));
  worker->Queue();
  return handle;
}

}  // namespace headzip::addon
