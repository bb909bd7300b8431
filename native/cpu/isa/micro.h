// The register tile that every GEMM goes through: c (rows x columns) (+)= a (rows x depth) * b (depth x columns).
#pragma once
#include "vec.h"

namespace headzip::cpu {
namespace {

// Steps of depth that follow one another without a branch: where a core is shared by two threads, instructions that are
// no multiply-adds cost as much as those.
constexpr int kUnroll = 4;

// Columns come in groups of 16. Step p of group g of b is at b + p * b_step + g * b_group.
// Lda == 0: a is a packed strip of M rows, element (i, p) at a[p * M + i]. Otherwise a is row-major with leading
// dimension Lda.
template <int M, int Lda, int Groups>
HZ_INLINE void micro(int64_t depth, const float* a, const float* b, int64_t b_step, int64_t b_group, float* c, int64_t ldc,
                     bool add) {
  constexpr int V = Groups * kPanel / W, PerGroup = kPanel / W;
  // AVX-512 can spread an element of a within the multiply-add, which saves an instruction an element. The compiler
  // would rather read an element once and keep it, so it is shown one pointer for each vector of columns.
  constexpr int kPointers = kGroups == 2 && Lda == 0 ? V : 1;
  const float* from[kPointers];
#pragma GCC unroll 8
  for (int v = 0; v < kPointers; ++v) {
    from[v] = a;
    if (kPointers > 1) asm("" : "+r"(from[v]));
  }
  vf acc[M][V];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) acc[i][v] = vf{};
  const auto step = [&]() HZ_INLINE_LAMBDA {
    vf x[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) x[v] = load(b + (v / PerGroup) * b_group + (v % PerGroup) * W);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[i][v] += splat(from[v % kPointers][Lda == 0 ? i : i * Lda]) * x[v];
#pragma GCC unroll 8
    for (int v = 0; v < kPointers; ++v) from[v] += Lda == 0 ? M : 1;
    b += b_step;
  };
  int64_t p = 0;
  for (; p + kUnroll <= depth; p += kUnroll)
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) step();
  for (; p < depth; ++p) step();
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i, c += ldc)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(c + v * W, add ? load(c + v * W) + acc[i][v] : acc[i][v]);
}

using Micro = void (*)(int64_t, const float*, const float*, int64_t, int64_t, float*, int64_t, bool);

template <int M, int Lda, int Groups>
void micro_call(int64_t depth, const float* a, const float* b, int64_t b_step, int64_t b_group, float* c, int64_t ldc,
                bool add) {
  micro<M, Lda, Groups>(depth, a, b, b_step, b_group, c, ldc, add);
}

// The tile for `rows` (1 .. kStrip) rows. A strip with fewer rows is packed with that height.
template <int Lda, int Groups, int M = kStrip>
HZ_INLINE Micro micro_for(int64_t rows) {
  if constexpr (M == 1) return micro_call<1, Lda, Groups>;
  else return rows == M ? micro_call<M, Lda, Groups> : micro_for<Lda, Groups, M - 1>(rows);
}

// rows x (groups of 16 columns), any number of groups.
template <int Lda>
HZ_INLINE void strip_gemm(int64_t rows, int64_t groups, int64_t depth, const float* a, const float* b, int64_t b_step,
                          int64_t b_group, float* c, int64_t ldc, bool add) {
  int64_t g = 0;
  if constexpr (kGroups == 2 && Lda != 0) {
    // Half as high and twice as wide: half as many elements of a are read and spread over a vector.
    constexpr int kHalf = kStrip / 2;
    for (; rows == kStrip && g + 4 <= groups; g += 4)
      for (int i = 0; i < kStrip; i += kHalf)
        micro_call<kHalf, Lda, 4>(depth, a + i * Lda, b + g * b_group, b_step, b_group, c + i * ldc + g * kPanel, ldc, add);
  }
  if constexpr (kGroups == 2) {
    const Micro wide = micro_for<Lda, 2>(rows);
    for (; g + 2 <= groups; g += 2) wide(depth, a, b + g * b_group, b_step, b_group, c + g * kPanel, ldc, add);
  }
  const Micro narrow = micro_for<Lda, 1>(rows);
  for (; g < groups; ++g) narrow(depth, a, b + g * b_group, b_step, b_group, c + g * kPanel, ldc, add);
}

}  // namespace
}  // namespace headzip::cpu
