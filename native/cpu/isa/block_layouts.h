// Quantised blocks as GGUF files hold them. Each layout says once how its numbers are dequantised, in storage order and a
// vector at a time; GEMMs and packing only differ in what they do with a vector.
//
// Every dequantised value is the exact product of scale and integer, with at most one rounding where an offset is added.
#pragma once
#include "vec.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace headzip::cpu {
namespace {

constexpr bool in_blocks(Stored s) { return s > Stored::kF8_E4M3; }

// W bytes as integers. Spelt with intrinsics on x86, where GCC takes a vector conversion from bytes apart.
#if defined(__AVX512F__) && HEADZIP_VECTOR_BYTES == 64
HZ_INLINE __m128i bytes_at(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
HZ_INLINE vi load_bytes(const uint8_t* p) { return (vi)_mm512_maskz_cvtepu8_epi32(0xffff, bytes_at(p)); }
HZ_INLINE vi load_signed_bytes(const uint8_t* p) { return (vi)_mm512_maskz_cvtepi8_epi32(0xffff, bytes_at(p)); }
#elif defined(__AVX2__) && HEADZIP_VECTOR_BYTES == 32
HZ_INLINE __m128i bytes_at(const uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
HZ_INLINE vi load_bytes(const uint8_t* p) { return (vi)_mm256_cvtepu8_epi32(bytes_at(p)); }
HZ_INLINE vi load_signed_bytes(const uint8_t* p) { return (vi)_mm256_cvtepi8_epi32(bytes_at(p)); }
#elif defined(__SSE2__) && HEADZIP_VECTOR_BYTES == 16
HZ_INLINE __m128i bytes_at(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm_cvtsi32_si128(four);
}
HZ_INLINE vi load_bytes(const uint8_t* p) {
  const __m128i zero = _mm_setzero_si128();
  return (vi)_mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes_at(p), zero), zero);
}
HZ_INLINE vi load_signed_bytes(const uint8_t* p) {
  const __m128i zero = _mm_setzero_si128();
  return (vi)_mm_unpacklo_epi16(zero, _mm_unpacklo_epi8(zero, bytes_at(p))) >> 24;
}
#else
typedef uint8_t vb __attribute__((vector_size(W)));
typedef int8_t vc __attribute__((vector_size(W)));
HZ_INLINE vi load_bytes(const uint8_t* p) {
  vb b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, vi);
}
HZ_INLINE vi load_signed_bytes(const uint8_t* p) {
  vc b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, vi);
}
#endif
HZ_INLINE vf to_float(vi v) { return __builtin_convertvector(v, vf); }
HZ_INLINE vi steps() {
  vi v;
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) v[i] = i;
  return v;
}

HZ_INLINE float half_at(const uint8_t* p) {
#ifdef __F16C__
  uint16_t bits;
  memcpy(&bits, p, 2);
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
#else
  return upcast_one(Stored::kF16, p);
#endif
}

// scale * (low four bits of v) + offset. A table of all sixteen values, looked up, where a vector holds one.
HZ_INLINE vf nibble_table(float scale, float offset) {
  if constexpr (W == 16) return to_float(steps()) * splat(scale) + splat(offset);
  else return vf{};
}
HZ_INLINE vf low_nibble(vi v, vf table, float scale, float offset) {
#if HEADZIP_VECTOR_BYTES == 64 && !defined(__clang__)
  (void)scale, (void)offset;
  return __builtin_shuffle(table, v);  // takes the index modulo 16
#else
  (void)table;
  return to_float(v & 15) * splat(scale) + splat(offset);
#endif
}

// `Count` bytes: the low nibbles are elements at, at + 1, …, the high ones start at `at_high`.
template <int Count, typename Emit>
HZ_INLINE void nibbles(const uint8_t* q, float low_scale, float low_offset, float high_scale, float high_offset, int at,
                       int at_high, Emit&& emit) {
  const vf low = nibble_table(low_scale, low_offset), high = nibble_table(high_scale, high_offset);
#pragma GCC unroll 16
  for (int i = 0; i < Count; i += W) {
    const vi v = load_bytes(q + i);
    emit(at + i, low_nibble(v, low, low_scale, low_offset));
    emit(at_high + i, low_nibble(v >> 4, high, high_scale, high_offset));
  }
}

// Six-bit scales and offsets of the eight groups of a block of 256: the first four plain, the others split in two.
struct GroupScales {
  float scale[8], offset[8];
};
HZ_INLINE GroupScales group_scales(const uint8_t* block) {
  const float d = half_at(block), m = half_at(block + 2);
  const uint8_t* s = block + 4;
  GroupScales g;
  for (int i = 0; i < 4; ++i) {
    g.scale[i] = d * static_cast<float>(s[i] & 63);
    g.offset[i] = -m * static_cast<float>(s[i + 4] & 63);
    g.scale[i + 4] = d * static_cast<float>((s[i + 8] & 15) | (s[i] >> 6) << 4);
    g.offset[i + 4] = -m * static_cast<float>((s[i + 8] >> 4) | (s[i + 4] >> 6) << 4);
  }
  return g;
}

// Layout<S>: elements and bytes of a block; dequantize(block, emit) calls emit(first element, W values) for all of them.
template <Stored S>
struct Layout;

template <>
struct Layout<Stored::kQ8_0> {  // f16 scale, 32 signed bytes
  static constexpr int kElements = 32, kBytes = 34;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const vf d = splat(half_at(b));
#pragma GCC unroll 16
    for (int i = 0; i < 32; i += W) emit(i, to_float(load_signed_bytes(b + 2 + i)) * d);
  }
};

template <>
struct Layout<Stored::kQ4_0> {  // f16 scale, 32 nibbles less 8: bytes hold elements i and i + 16
  static constexpr int kElements = 32, kBytes = 18;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const float d = half_at(b);
    nibbles<16>(b + 2, d, -8 * d, d, -8 * d, 0, 16, emit);
  }
};

template <>
struct Layout<Stored::kQ4_1> {  // f16 scale, f16 offset, 32 nibbles
  static constexpr int kElements = 32, kBytes = 20;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const float d = half_at(b), m = half_at(b + 2);
    nibbles<16>(b + 4, d, m, d, m, 0, 16, emit);
  }
};

// 32 nibbles whose fifth bits are bits i and i + 16 of a word.
template <typename Emit>
HZ_INLINE void five_bits(const uint8_t* high, const uint8_t* q, float scale, float offset, Emit&& emit) {
  uint32_t bits;
  memcpy(&bits, high, 4);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += W) {
    const vi v = load_bytes(q + i);
    const vu first = (vu{} + bits) >> (vu)(steps() + i);
    emit(i, to_float((v & 15) | ((vi)first & 1) << 4) * splat(scale) + splat(offset));
    emit(16 + i, to_float((v >> 4) | ((vi)(first >> 16) & 1) << 4) * splat(scale) + splat(offset));
  }
}

template <>
struct Layout<Stored::kQ5_0> {  // f16 scale, a word of fifth bits, 32 nibbles, less 16
  static constexpr int kElements = 32, kBytes = 22;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const float d = half_at(b);
    five_bits(b + 2, b + 6, d, -16 * d, emit);
  }
};

template <>
struct Layout<Stored::kQ5_1> {  // f16 scale, f16 offset, a word of fifth bits, 32 nibbles
  static constexpr int kElements = 32, kBytes = 24;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    five_bits(b + 4, b + 8, half_at(b), half_at(b + 2), emit);
  }
};

template <>
struct Layout<Stored::kQ4_K> {  // 8 groups of 32: f16 scale and offset for all, six bits each a group; 128 bytes of nibbles
  static constexpr int kElements = 256, kBytes = 144;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const GroupScales g = group_scales(b);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j)
      nibbles<32>(b + 16 + 32 * j, g.scale[2 * j], g.offset[2 * j], g.scale[2 * j + 1], g.offset[2 * j + 1], 64 * j,
                  64 * j + 32, emit);
  }
};

template <>
struct Layout<Stored::kQ5_K> {  // as Q4_K, with 32 bytes of fifth bits: bit g of byte i belongs to element i of group g
  static constexpr int kElements = 256, kBytes = 176;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const GroupScales g = group_scales(b);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j)
#pragma GCC unroll 16
      for (int i = 0; i < 32; i += W) {
        const vi v = load_bytes(b + 48 + 32 * j + i), high = load_bytes(b + 16 + i) >> (2 * j);
        emit(64 * j + i, to_float((v & 15) | (high & 1) << 4) * splat(g.scale[2 * j]) + splat(g.offset[2 * j]));
        emit(64 * j + 32 + i, to_float((v >> 4) | (high & 2) << 3) * splat(g.scale[2 * j + 1]) + splat(g.offset[2 * j + 1]));
      }
  }
};

template <>
struct Layout<Stored::kQ6_K> {  // 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales of 16 elements, f16 scale
  static constexpr int kElements = 256, kBytes = 210;
  template <typename Emit>
  static HZ_INLINE void dequantize(const uint8_t* b, Emit&& emit) {
    const float d = half_at(b + 208);
    const auto* scales = reinterpret_cast<const int8_t*>(b + 192);
#pragma GCC unroll 2
    for (int n = 0; n < 2; ++n)
#pragma GCC unroll 16
      for (int i = 0; i < 32; i += W) {
        const vi low = load_bytes(b + 64 * n + i), next = load_bytes(b + 64 * n + 32 + i);
        const vi high = load_bytes(b + 128 + 32 * n + i);
        const int8_t* s = scales + 8 * n + i / 16;
        const int at = 128 * n + i;
        emit(at, to_float(((low & 15) | (high & 3) << 4) - 32) * splat(d * s[0]));
        emit(at + 32, to_float(((next & 15) | (high & 12) << 2) - 32) * splat(d * s[2]));
        emit(at + 64, to_float(((low >> 4) | (high & 48)) - 32) * splat(d * s[4]));
        emit(at + 96, to_float(((next >> 4) | (high & 192) >> 2) - 32) * splat(d * s[6]));
      }
  }
};

}  // namespace
}  // namespace headzip::cpu
