// Hopper's warpgroup MMA (sm_90a): m64nNk16 of bf16 with fp32 accumulation, A from shared memory or registers, B from
// shared memory. A warpgroup is four warps; thread t holds rows 16 * warp + lane / 4 and that + 8, and of register i the
// column i / 4 * 8 + lane % 4 * 2 + i % 2 of row half i / 2 % 2.
// Operand layouts as checked by cuda/dev: tiles of 64 columns, rows of 128 bytes, 128-byte swizzle, as TMA writes them.
#pragma once
#include <cuda_bf16.h>
#include <stdint.h>

namespace headzip::cuda {

// start, leading and stride offsets in bytes; 128-byte swizzle
__device__ __forceinline__ uint64_t tile_descriptor(uint32_t start, uint32_t leading, uint32_t stride) {
  return static_cast<uint64_t>(start >> 4 & 0x3fff) | static_cast<uint64_t>(leading >> 4 & 0x3fff) << 16 |
         static_cast<uint64_t>(stride >> 4 & 0x3fff) << 32 | uint64_t{1} << 62;
}
// Rows along the MMA's depth within a row's 128 bytes: Q and K.
__device__ __forceinline__ uint64_t depth_major(uint32_t start) { return tile_descriptor(start, 16, 1024); }
// Rows are the MMA's depth: V. `box` is the distance from one group of 64 columns to the next.
__device__ __forceinline__ uint64_t column_major(uint32_t start, uint32_t box) { return tile_descriptor(start, box, 1024); }

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
// Keeps the compiler from moving reads or writes of accumulators across this point.
template <int N>
__device__ __forceinline__ void pin(float (&r)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(r[i])::"memory");
}


#define HZ_ACC0   "%0,%1,%2,%3,%4,%5,%6,%7"
#define HZ_ACC8   "%8,%9,%10,%11,%12,%13,%14,%15"
#define HZ_ACC16  "%16,%17,%18,%19,%20,%21,%22,%23"
#define HZ_ACC24  "%24,%25,%26,%27,%28,%29,%30,%31"
#define HZ_ACC32  "%32,%33,%34,%35,%36,%37,%38,%39"
#define HZ_ACC40  "%40,%41,%42,%43,%44,%45,%46,%47"
#define HZ_ACC48  "%48,%49,%50,%51,%52,%53,%54,%55"
#define HZ_ACC56  "%56,%57,%58,%59,%60,%61,%62,%63"
#define HZ_ACC64  "%64,%65,%66,%67,%68,%69,%70,%71"
#define HZ_ACC72  "%72,%73,%74,%75,%76,%77,%78,%79"
#define HZ_ACC80  "%80,%81,%82,%83,%84,%85,%86,%87"
#define HZ_ACC88  "%88,%89,%90,%91,%92,%93,%94,%95"
#define HZ_ACC96  "%96,%97,%98,%99,%100,%101,%102,%103"
#define HZ_ACC104 "%104,%105,%106,%107,%108,%109,%110,%111"
#define HZ_ACC112 "%112,%113,%114,%115,%116,%117,%118,%119"
#define HZ_ACC120 "%120,%121,%122,%123,%124,%125,%126,%127"
#define HZ_R8(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])

// d (64 x N) = or += a (64 x 16) b (16 x N), both from shared memory; N is twice the number of registers.
__device__ __forceinline__ void wgmma_shared(float (&d)[40], uint64_t a, uint64_t b, int add) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %42, 0;\n wgmma.mma_async.sync.aligned.m64n80k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "," HZ_ACC32 "}, %40, %41, p, 1, 1, 0, 0;}\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24), HZ_R8(d, 32) : "l"(a), "l"(b), "r"(add));
}
__device__ __forceinline__ void wgmma_shared(float (&d)[64], uint64_t a, uint64_t b, int add) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %66, 0;\n wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "," HZ_ACC32 "," HZ_ACC40 "," HZ_ACC48 "," HZ_ACC56 "}, %64, %65, p, 1, 1, 0, 0;}\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24), HZ_R8(d, 32), HZ_R8(d, 40), HZ_R8(d, 48), HZ_R8(d, 56) : "l"(a), "l"(b), "r"(add));
}
__device__ __forceinline__ void wgmma_shared(float (&d)[88], uint64_t a, uint64_t b, int add) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %90, 0;\n wgmma.mma_async.sync.aligned.m64n176k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "," HZ_ACC32 "," HZ_ACC40 "," HZ_ACC48 "," HZ_ACC56 "," HZ_ACC64 "," HZ_ACC72 "," HZ_ACC80 "}, %88, %89, p, 1, 1, 0, 0;}\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24), HZ_R8(d, 32), HZ_R8(d, 40), HZ_R8(d, 48), HZ_R8(d, 56), HZ_R8(d, 64), HZ_R8(d, 72), HZ_R8(d, 80) : "l"(a), "l"(b), "r"(add));
}
__device__ __forceinline__ void wgmma_shared(float (&d)[96], uint64_t a, uint64_t b, int add) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %98, 0;\n wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "," HZ_ACC32 "," HZ_ACC40 "," HZ_ACC48 "," HZ_ACC56 "," HZ_ACC64 "," HZ_ACC72 "," HZ_ACC80 "," HZ_ACC88 "}, %96, %97, p, 1, 1, 0, 0;}\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24), HZ_R8(d, 32), HZ_R8(d, 40), HZ_R8(d, 48), HZ_R8(d, 56), HZ_R8(d, 64), HZ_R8(d, 72), HZ_R8(d, 80), HZ_R8(d, 88) : "l"(a), "l"(b), "r"(add));
}

// d (64 x N) += a (64 x 16, registers) b (16 x N, column-major in shared memory)
__device__ __forceinline__ void wgmma_registers(float (&d)[32], const uint32_t* a, uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
__device__ __forceinline__ void wgmma_registers(float (&d)[64], const uint32_t* a, uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "," HZ_ACC32 "," HZ_ACC40 "," HZ_ACC48 "," HZ_ACC56 "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 1;\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24), HZ_R8(d, 32), HZ_R8(d, 40), HZ_R8(d, 48), HZ_R8(d, 56) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
__device__ __forceinline__ void wgmma_registers(float (&d)[128], const uint32_t* a, uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
               HZ_ACC0 "," HZ_ACC8 "," HZ_ACC16 "," HZ_ACC24 "," HZ_ACC32 "," HZ_ACC40 "," HZ_ACC48 "," HZ_ACC56 "," HZ_ACC64 "," HZ_ACC72 "," HZ_ACC80 "," HZ_ACC88 "," HZ_ACC96 "," HZ_ACC104 "," HZ_ACC112 "," HZ_ACC120 "}, {%128,%129,%130,%131}, %132, 1, 1, 1, 1;\n"
               : HZ_R8(d, 0), HZ_R8(d, 8), HZ_R8(d, 16), HZ_R8(d, 24), HZ_R8(d, 32), HZ_R8(d, 40), HZ_R8(d, 48), HZ_R8(d, 56), HZ_R8(d, 64), HZ_R8(d, 72), HZ_R8(d, 80), HZ_R8(d, 88), HZ_R8(d, 96), HZ_R8(d, 104), HZ_R8(d, 112), HZ_R8(d, 120) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#undef HZ_R8
#undef HZ_ACC0
#undef HZ_ACC8
#undef HZ_ACC16
#undef HZ_ACC24
#undef HZ_ACC32
#undef HZ_ACC40
#undef HZ_ACC48
#undef HZ_ACC56
#undef HZ_ACC64
#undef HZ_ACC72
#undef HZ_ACC80
#undef HZ_ACC88
#undef HZ_ACC96
#undef HZ_ACC104
#undef HZ_ACC112
#undef HZ_ACC120

}  // namespace headzip::cuda
