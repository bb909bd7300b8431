// Vectors through the compiler's own extension: one source for every instruction set. Included once per set, inside
// an unnamed namespace, with HEADZIP_VECTOR_BYTES defined.
#pragma once
#include <stdint.h>
#include <string.h>
#if HEADZIP_VECTOR_BYTES >= 32
#include <immintrin.h>
#endif

#include "../kernels.h"

#define HZ_INLINE        inline __attribute__((always_inline))
#define HZ_INLINE_LAMBDA __attribute__((always_inline))

namespace headzip::cpu {
namespace {

constexpr int W = HEADZIP_VECTOR_BYTES / 4;  // floats in a vector
typedef float vf __attribute__((vector_size(HEADZIP_VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(HEADZIP_VECTOR_BYTES)));
typedef uint32_t vu __attribute__((vector_size(HEADZIP_VECTOR_BYTES)));
typedef uint16_t vh __attribute__((vector_size(HEADZIP_VECTOR_BYTES / 2)));

// Strip height and panels of one register tile: accumulators and operands fill the register file without spilling.
#if HEADZIP_VECTOR_BYTES == 64
constexpr int kStrip = 12, kGroups = 2;
#elif HEADZIP_VECTOR_BYTES == 32
constexpr int kStrip = 6, kGroups = 1;
#else
constexpr int kStrip = 3, kGroups = 1;
#endif

HZ_INLINE vf load(const float* p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
HZ_INLINE void store(float* p, vf v) { memcpy(p, &v, sizeof v); }
// x - 0 is x, whatever its sign, and costs nothing; 0 + x would turn -0 into 0 and so stays an addition in every loop.
HZ_INLINE vf splat(float x) { return x - vf{}; }
HZ_INLINE vf max(vf a, vf b) { return a > b ? a : b; }
HZ_INLINE vf min(vf a, vf b) { return a < b ? a : b; }
HZ_INLINE float at(const vf& v, int i) { return v[i]; }
// Adds or compares the halves of a vector until one value is left: log2(W) dependent steps instead of W.
template <int kStep>
HZ_INLINE vf rotated(vf v) {
  vi order;
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) order[i] = (i + kStep) % W;
#ifdef __clang__
  vf out;
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) out[i] = v[(i + kStep) % W];
  return out;
#else
  return __builtin_shuffle(v, order);
#endif
}
template <int kStep = W / 2>
HZ_INLINE float sum(vf v) {
  v += rotated<kStep>(v);
  if constexpr (kStep > 1) return sum<kStep / 2>(v);
  else return v[0];
}
template <int kStep = W / 2>
HZ_INLINE float peak(vf v) {
  v = max(v, rotated<kStep>(v));
  if constexpr (kStep > 1) return peak<kStep / 2>(v);
  else return v[0];
}

HZ_INLINE vf as_float(vu bits) { return (vf)bits; }
HZ_INLINE vf upcast_bf16(vh h) { return as_float(__builtin_convertvector(h, vu) << 16); }
HZ_INLINE vf upcast_f16(vh h) {
#if HEADZIP_VECTOR_BYTES == 64
  return _mm512_maskz_cvtph_ps(0xffff, (__m256i)h);
#elif HEADZIP_VECTOR_BYTES == 32 && defined(__F16C__)
  return _mm256_cvtph_ps((__m128i)h);
#else
  const vu x = __builtin_convertvector(h, vu);
  const vu magnitude = (x & 0x7fff) << 13;
  // 2^112 moves the exponent's bias from 15 to 127 and makes subnormals right; infinities and NaN are put back.
  const vu value = (vu)(as_float(magnitude) * 0x1p112f);
  const vu special = (vu)(magnitude >= (vu{} + 0x0f800000u)) & 0x7f800000u;
  return as_float(value | special | ((x & 0x8000) << 16));
#endif
}
template <Stored S>
HZ_INLINE vf load_as(const void* p) {
  if constexpr (S == Stored::kF32) {
    return load(static_cast<const float*>(p));
  } else {
    vh h;
    memcpy(&h, p, sizeof h);
    return S == Stored::kBF16 ? upcast_bf16(h) : upcast_f16(h);
  }
}
HZ_INLINE float upcast_one(Stored s, const void* p) {
  if (s == Stored::kF32) {
    float f;
    memcpy(&f, p, 4);
    return f;
  }
  uint16_t bits;
  memcpy(&bits, p, 2);
  const vh h = vh{} + bits;
  return s == Stored::kBF16 ? at(upcast_bf16(h), 0) : at(upcast_f16(h), 0);
}
constexpr int64_t stored_bytes(Stored s) { return s == Stored::kF32 ? 4 : 2; }

#if HEADZIP_VECTOR_BYTES == 64
// 2^x for any x, relative error below 2e-7: 0 at -inf, infinity from 128 on. Two instructions split x and put the
// parts together, where the other sets need seven and two more for the ends of the range.
HZ_INLINE vf exp2(vf x) {
  constexpr __mmask16 kAll = 0xffff;  // costs nothing; GCC 12 warns of the plain forms
  const vf f = _mm512_maskz_reduce_ps(kAll, x, _MM_FROUND_TO_NEG_INF);  // x - floor(x), 0 at -inf
  vf p = splat(1.8671335437735075e-3f);  // our own least-maximum fit of degree 5 on 0 .. 1, 1 at 0
  p = p * f + splat(9.017022970036403e-3f);
  p = p * f + splat(5.57999183587157e-2f);
  p = p * f + splat(2.4016444871417683e-1f);
  p = p * f + splat(6.931513119230504e-1f);
  p = p * f + splat(1.0f);
  return _mm512_maskz_scalef_ps(kAll, p, x);  // p * 2^floor(x)
}
// While one lives, results too small for a normal number become 0: scalef would take a hundred times as long over them.
class FlushTiny {
 public:
  FlushTiny() : before_(_mm_getcsr()) { _mm_setcsr(before_ | _MM_FLUSH_ZERO_ON); }
  ~FlushTiny() { _mm_setcsr(before_); }
  FlushTiny(const FlushTiny&) = delete;
  FlushTiny& operator=(const FlushTiny&) = delete;

 private:
  unsigned before_;
};
// Whether an element is above x, or no number.
HZ_INLINE bool any_above(vf v, float x) { return _mm512_cmp_ps_mask(v, splat(x), _CMP_NLE_UQ) != 0; }
#else
// 2^x for any x, relative error below 3e-7: exactly 0 up to -127, within 2^-127 of the truth below -126, 2^127 past it.
HZ_INLINE vf exp2(vf y) {
  const vf x = min(max(y, splat(-127.0f)), splat(127.0f));
  const vf magic =
      splat(12582912.0f);  // 1.5 * 2^23: adding it leaves round(x) in the low bits, and none in the 9 lowest of its own
  const vf shifted = x + magic;
  const vf f = x - (shifted - magic);   // -0.5 .. 0.5
  vf p = splat(1.3276471979479397e-3f); // our own least-maximum fit of degree 5 on that interval
  p = p * f + splat(9.675541334216184e-3f);
  p = p * f + splat(5.550713273542589e-2f);
  p = p * f + splat(2.4022119723848476e-1f);
  p = p * f + splat(6.931469670647331e-1f);
  p = p * f + splat(1.0f);
  return (vf)((vi)p + ((vi)shifted << 23));
}
struct FlushTiny {
  ~FlushTiny() {}  // nothing to do, but something to declare
};
// Whether an element is above x, or no number.
HZ_INLINE bool any_above(vf v, float x) { return !(peak(v) <= x); }
#endif

constexpr float kLog2e = 1.44269504088896341f;

}  // namespace
}  // namespace headzip::cpu
