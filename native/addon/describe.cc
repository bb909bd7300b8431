// What an engine tells of itself, so that JavaScript need not work it out a second time.
#include "args.h"
#include "engine.h"

namespace headzip::addon {

namespace {
// Far past any model's positions, and no sum of bytes overflows.
constexpr int64_t kMostTokens = 1 << 30;
}  // namespace

Napi::Value Engine::describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Backend& backend = *open(env)->backend;
  const Element element = backend.element();
  Napi::Object o = Napi::Object::New(env);
  o.Set("device", backend.name());
  o.Set("element", name_of(element));
  o.Set("elementBytes", static_cast<double>(bytes_of(element)));
  return o;
}

Napi::Value Engine::kv_bytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int64_t tokens = integer(info[0], "tokens");
  if (tokens < 0 || tokens > kMostTokens) refuse(env, "tokens must be between 0 and 2^30");
  const auto runtime = open(env);
  const double values = static_cast<double>(runtime->model->spec.kv_values(tokens));
  return Napi::Number::New(env, values * static_cast<double>(bytes_of(runtime->backend->element())));
}

Napi::Value Cache::geometry(const Napi::CallbackInfo& info) {
  const KvCache& cache = *readable(info.Env())->cache;
  std::vector<int64_t> sizes;
  for (int64_t l = 0; l < cache.layer_count(); ++l) {
    const KvLayer& kv = cache.kv(l);
    sizes.insert(sizes.end(), {kv.heads(), kv.head_dim()});
  }
  return to_js32(info.Env(), sizes);
}

}  // namespace headzip::addon
