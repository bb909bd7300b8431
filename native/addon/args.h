// Reads JavaScript values, checking each: kind, then value. A message names the field.
#pragma once
#include <napi.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace headzip::addon {

[[noreturn]] inline void refuse(Napi::Env env, const std::string& what) { throw Napi::TypeError::New(env, what); }

inline Napi::Value field(const Napi::Object& o, const char* name) {
  const Napi::Value v = o.Get(name);
  if (v.IsUndefined()) refuse(o.Env(), std::string(name) + " is missing");
  return v;
}

inline Napi::Object object(const Napi::Value& v, const char* name) {
  if (!v.IsObject()) refuse(v.Env(), std::string(name) + " must be an object");
  return v.As<Napi::Object>();
}

inline int64_t integer(const Napi::Value& v, const char* name) {
  if (!v.IsNumber()) refuse(v.Env(), std::string(name) + " must be an integer");
  const double d = v.As<Napi::Number>().DoubleValue();
  if (!(std::abs(d) <= 9007199254740991.0) || d != std::floor(d)) refuse(v.Env(), std::string(name) + " must be an integer");
  return static_cast<int64_t>(d);
}

inline float number(const Napi::Value& v, const char* name) {
  if (!v.IsNumber()) refuse(v.Env(), std::string(name) + " must be a number");
  return v.As<Napi::Number>().FloatValue();
}

inline double real(const Napi::Value& v, const char* name) {
  if (!v.IsNumber()) refuse(v.Env(), std::string(name) + " must be a number");
  return v.As<Napi::Number>().DoubleValue();
}

inline bool boolean(const Napi::Value& v, const char* name) {
  if (!v.IsBoolean()) refuse(v.Env(), std::string(name) + " must be true or false");
  return v.As<Napi::Boolean>().Value();
}

inline std::string text(const Napi::Value& v, const char* name) {
  if (!v.IsString()) refuse(v.Env(), std::string(name) + " must be a string");
  return v.As<Napi::String>().Utf8Value();
}

inline Napi::Array array(const Napi::Value& v, const char* name) {
  if (!v.IsArray()) refuse(v.Env(), std::string(name) + " must be an array");
  return v.As<Napi::Array>();
}

// Copies a typed array of exactly this element type.
template <typename T, napi_typedarray_type Kind>
std::vector<T> elements(const Napi::Value& v, const char* name, const char* type) {
  if (!v.IsTypedArray() || v.As<Napi::TypedArray>().TypedArrayType() != Kind)
    refuse(v.Env(), std::string(name) + " must be a " + type);
  const auto a = v.As<Napi::TypedArrayOf<T>>();
  return a.ElementLength() == 0 ? std::vector<T>{} : std::vector<T>(a.Data(), a.Data() + a.ElementLength());
}
inline std::vector<int32_t> ids(const Napi::Value& v, const char* name) {
  return elements<int32_t, napi_int32_array>(v, name, "Int32Array");
}
inline std::vector<float> floats(const Napi::Value& v, const char* name) {
  return elements<float, napi_float32_array>(v, name, "Float32Array");
}
inline Napi::Int32Array to_js32(Napi::Env env, const std::vector<int64_t>& v) {
  auto out = Napi::Int32Array::New(env, v.size());
  std::transform(v.begin(), v.end(), out.Data(), [](int64_t x) { return static_cast<int32_t>(x); });
  return out;
}
inline std::vector<uint8_t> bytes(const Napi::Value& v, const char* name) {
  return elements<uint8_t, napi_uint8_array>(v, name, "Uint8Array");
}

inline Napi::Float32Array to_js(Napi::Env env, const std::vector<float>& v) {
  auto out = Napi::Float32Array::New(env, v.size());
  std::copy(v.begin(), v.end(), out.Data());
  return out;
}
inline Napi::Int32Array to_js(Napi::Env env, const std::vector<int32_t>& v) {
  auto out = Napi::Int32Array::New(env, v.size());
  std::copy(v.begin(), v.end(), out.Data());
  return out;
}

// A native error as a JavaScript one, with a code that tells it from a bug.
inline Napi::Error engine_error(Napi::Env env, const std::string& message, const char* code = "HEADZIP_ENGINE") {
  Napi::Error e = Napi::Error::New(env, message);
  e.Set("code", Napi::String::New(env, code));
  return e;
}

}  // namespace headzip::addon
