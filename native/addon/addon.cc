// The N-API door. Everything behind it is plain C++.
#include <dlfcn.h>
#include <napi.h>

#include "../cpu/kernels.h"
#include "../cpu/thread_pool.h"
#include "../cuda/info.h"
#include "../error.h"
#include "args.h"
#include "bench.h"
#include "engine.h"
#include "file_lock.h"

namespace headzip::addon {
namespace {

// { isa, threads, cuda: { reason, name, compute, memory, cublaslt } }
Napi::Value devices(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  try {
    o.Set("isa", cpu::kernels().name);
  } catch (const Error& e) {
    throw engine_error(info.Env(), e.what());
  }
  o.Set("threads", cpu::ThreadPool::instance().size());
  const cuda::Info gpu = cuda::info();
  Napi::Object c = Napi::Object::New(info.Env());
  c.Set("reason", gpu.reason);
  c.Set("name", gpu.name);
  c.Set("compute", gpu.compute);
  c.Set("memory", static_cast<double>(gpu.memory));
  c.Set("cublaslt", gpu.cublaslt);
  o.Set("cuda", c);
  return o;
}

// Node unloads an addon when the last environment that loaded it ends, a worker thread's for one. The pool's threads
// would then run code that is gone: the library stays for good.
void stay_loaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&stay_loaded), &self) != 0) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  stay_loaded();
  auto* constructors = new Constructors;
  const Napi::Function cache = Cache::define(env);
  constructors->cache = Napi::Persistent(cache);
  env.SetInstanceData(constructors);
  exports.Set("Engine", Engine::define(env));
  exports.Set("Cache", cache);
  exports.Set("devices", Napi::Function::New(env, devices));
  exports.Set("bench", Napi::Function::New(env, bench));
  exports.Set("tryLock", Napi::Function::New(env, try_lock));
  return exports;
}

}  // namespace
}  // namespace headzip::addon

static Napi::Object headzip_init(Napi::Env env, Napi::Object exports) { return headzip::addon::init(env, exports); }
NODE_API_MODULE(headzip, headzip_init)
