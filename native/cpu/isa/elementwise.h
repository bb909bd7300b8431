#pragma once
#include "fp8.h"

namespace headzip::cpu {
namespace {

void dequantize(Stored type, const void* in, const Scales& scales, int64_t count, float* out) {
  if (type == Stored::kF8_E4M3) return dequantize_fp8(static_cast<const uint8_t*>(in), scales, 0, 0, count, out);
  if (in_blocks(type)) return dequantize_blocks(type, in, count, out);
  const auto* from = static_cast<const char*>(in);
  int64_t i = 0;
  for (; i + W <= count; i += W) {
    if (type == Stored::kF32) store(out + i, load_as<Stored::kF32>(from + i * 4));
    else if (type == Stored::kF16) store(out + i, load_as<Stored::kF16>(from + i * 2));
    else store(out + i, load_as<Stored::kBF16>(from + i * 2));
  }
  for (; i < count; ++i) out[i] = upcast_one(type, from + i * stored_bytes(type));
}

// out = x / sqrt(mean(x^2) + eps) * weight; NaN where the mean overflows, as dividing by it would hide what happened.
void rms_norm(const float* x, const float* weight, int64_t width, float eps, float* out) {
  double squares = 0;  // of partial sums of 64 vectors: the precision matters, the time does not
  int64_t c = 0;
  while (c + W <= width) {
    vf part = vf{};
    for (int n = 0; n < 64 && c + W <= width; ++n, c += W) part += load(x + c) * load(x + c);
    squares += sum(part);
  }
  for (; c < width; ++c) squares += static_cast<double>(x[c]) * x[c];
  const float mean = static_cast<float>(squares / static_cast<double>(width));
  const float factor = mean - mean == 0.0f ? 1.0f / __builtin_sqrtf(mean + eps) : __builtin_nanf("");
  for (int64_t i = 0; i < width; ++i) out[i] = x[i] * factor * weight[i];
}

void rotate_halves(float* __restrict head, const float* __restrict cosine, const float* __restrict sine, int64_t pairs) {
  for (int64_t d = 0; d < pairs; ++d) {
    const float first = head[d], second = head[pairs + d];
    head[d] = first * cosine[d] - second * sine[d];
    head[pairs + d] = second * cosine[d] + first * sine[d];
  }
}

HZ_INLINE vf silu(vf x) { return x / (splat(1.0f) + exp2(x * splat(-kLog2e))); }

// x / 2 * (1 + tanh(u)) is x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
HZ_INLINE vf gelu_tanh(vf x) {
  constexpr float kScale = -2.0f * 0.797884560802865f * kLog2e;
  const vf u = x + splat(0.044715f) * x * x * x;
  return x / (splat(1.0f) + exp2(u * splat(kScale)));
}

// gate = f(gate) * up
template <vf F(vf)>
void act_and_mul(float* gate, const float* up, int64_t count) {
  const FlushTiny flush;
  int64_t i = 0;
  for (; i + W <= count; i += W) store(gate + i, F(load(gate + i)) * load(up + i));
  if (i == count) return;
  float tail_gate[W] = {}, tail_up[W] = {};
  memcpy(tail_gate, gate + i, (count - i) * sizeof(float));
  memcpy(tail_up, up + i, (count - i) * sizeof(float));
  store(tail_gate, F(load(tail_gate)) * load(tail_up));
  memcpy(gate + i, tail_gate, (count - i) * sizeof(float));
}
void silu_mul(float* gate, const float* up, int64_t count) { act_and_mul<silu>(gate, up, count); }
void gelu_tanh_mul(float* gate, const float* up, int64_t count) { act_and_mul<gelu_tanh>(gate, up, count); }

bool finite(const float* x, int64_t count) {
  vf bad = vf{};
  int64_t i = 0;
  for (; i + W <= count; i += W) {
    const vf v = load(x + i);
    bad = bad + (v - v);  // 0 for finite values, NaN for the others, and NaN stays
  }
  float all = sum(bad);
  for (; i < count; ++i) all += x[i] - x[i];
  return all == 0.0f;
}

double fma_peak(int64_t rounds, float* values) {
  vf acc[12];
  for (int i = 0; i < 12; ++i) acc[i] = splat(values[i]);
  const vf x = splat(values[12]), y = splat(values[13]);
  for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) acc[i] = acc[i] * x + y;
  for (int i = 0; i < 12; ++i) values[i] = sum(acc[i]);
  return 2.0 * 12 * W * static_cast<double>(rounds);
}

}  // namespace
}  // namespace headzip::cpu
