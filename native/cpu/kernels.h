// The inner loops of the CPU backend, compiled once per instruction set and chosen at run time.
//
// This header is included by files compiled with AVX-512 enabled. It must pull in no inline function of the standard
// library: the linker keeps one copy of such a function for the whole program, and might keep that one.
#pragma once
#include <stdint.h>

namespace headzip::cpu {

// headzip::StoredType in the same order.
enum class Stored : uint8_t { kF32, kF16, kBF16, kF8_E4M3, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K };

// What FP8 numbers are multiplied by: one scale for every block of rows and columns of a tensor, plain numbers in
// `type`, seen from an element at (row, col) of that tensor. Without data all scales are 1.
struct Scales {
  const void* data;  // (blocks of rows, across)
  Stored type;
  int64_t block_rows, block_cols, across, row, col;
};

constexpr int kPanel = 16;           // columns of a packed panel, whatever the vector width
constexpr int64_t kKeyAlign = 32;    // keys a head's buffer is a multiple of: two panels
constexpr int64_t kDepthBlock = 512; // depth of a packed block of a linear layer: whole blocks of every stored type

// One KV head as the kernels read it. Keys lie in panels so that neither scoring nor decoding ever repacks them.
struct KvHead {
  float* k;  // (capacity / 16, head_dim, 16): key j is column j % 16 of panel j / 16
  float* v;  // (capacity, value_stride), columns past head_dim are zero
  int64_t length;
};

// A KvSegment as one KV head sees it.
struct HeadSegment {
  KvHead head;
  int64_t begin, end, position;  // keys [begin, end); key j stands at position + (j - begin)
  bool in_score, scored;
  // Positions of entries that lost some before them (see KvLayer::position): positions[j], past `position_count`
  // j + shift. nullptr: without gaps, by `position`.
  const int32_t* positions;
  int64_t position_count, shift;
};

// A softmax over some keys: its weights are 2^(logit - m) and add up to d.
struct SoftmaxState {
  float m, d;
};

// A block of queries of one KV head: row r is query r / group, query head r % group of the group.
struct AttentionTask {
  const float* q;     // first query's first head of the group
  int64_t q_stride;   // floats from one query to the next
  float* out;         // like q; nullptr when only scores are wanted
  int64_t out_stride;
  int64_t queries, group, head_dim, value_stride;
  int64_t position;   // of the first query
  int64_t window;     // positions that a query sees, its own among them; 0: all before it
  float scale, score_scale;
  const HeadSegment* segments;
  int64_t segment_count;
  float* scores;      // (keys of the scored segment), running maximum shared between threads; nullptr: none
  // Base-2 logarithms that the score's are raised and lowered by, see ScoreWeights. Where there are any:
  const float* value_norms =
      nullptr;  // (group, value_norm_stride), by entry of the scored segment's head; whole panels may be read
  int64_t value_norm_stride = 0;
  const float* row_norms = nullptr;    // (queries)
  SoftmaxState* states = nullptr;  // (rows): see normalised(), to merge outputs over splits of the keys; nullptr: not wanted
};

struct Kernels {
  const char* name;
  int strip;  // rows of a packed strip
  int64_t vector_bytes;

  // Linear layers: y = x W^T from packed x and packed W.
  void (*pack_rows)(const float* x, int64_t stride, int64_t rows, int64_t depth, float* out);
  void (*pack_panels)(Stored type, const void* w, const Scales& scales, int64_t cols, int64_t rows, int64_t depth, float* out);
  void (*gemm)(const float* a, int64_t rows, const float* b, int64_t columns, int64_t depth, float* c, int64_t ldc, bool add);
  // y[m, r] (+)= sum over c of x[m, c] W[r, c], for a handful of rows m: reads W once.
  void (*few_rows)(Stored type, const void* w, const Scales& scales, int64_t cols, int64_t rows, const float* x,
                   int64_t x_stride, int64_t x_rows, float* y, int64_t y_stride, bool add);

  // Bytes of scratch that a task of this size needs.
  int64_t (*attention_scratch)(int64_t rows, int64_t head_dim, int64_t scored_keys);
  void (*attention)(const AttentionTask& task, void* scratch);

  // A part of one row.
  void (*dequantize)(Stored type, const void* in, const Scales& scales, int64_t count, float* out);
  void (*rms_norm)(const float* x, const float* weight, int64_t width, float eps, float* out);
  // Rotates the pairs (head[d], head[pairs + d]) by their angles.
  void (*rotate_halves)(float* head, const float* cosine, const float* sine, int64_t pairs);
  void (*silu_mul)(float* gate, const float* up, int64_t count);
  void (*gelu_tanh_mul)(float* gate, const float* up, int64_t count);
  bool (*finite)(const float* x, int64_t count);
  // Independent fused multiply-adds; returns how many floating-point operations it did (`values` keeps them alive).
  double (*fma_peak)(int64_t rounds, float* values);
};

// nullptr where this build or this processor lacks the instruction set.
const Kernels* baseline_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

// The best the processor runs.
const Kernels& widest_kernels();
// The same, or what HEADZIP_CPU=baseline|avx2|avx512 asks for: read at each call, so once when an engine opens. Throws
// Error when that is absent.
const Kernels& kernels();

}  // namespace headzip::cpu
