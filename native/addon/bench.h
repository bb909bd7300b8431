// Rates of the CPU kernels, measured in one go so that their ratios mean something.
#pragma once
#include <napi.h>

namespace headzip::addon {

// Promise of [{ name, seconds, flops }]: fused multiply-add peak on all threads first, then GEMMs and attention.
Napi::Value bench(const Napi::CallbackInfo& info);

}  // namespace headzip::addon
