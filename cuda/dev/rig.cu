#include "rig.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace headzip::cuda::dev {
namespace {

__global__ void normal_kernel(bf16* out, size_t count, unsigned seed) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count; i += size_t{gridDim.x} * blockDim.x) {
    unsigned a = static_cast<unsigned>(i) * 2654435761u ^ seed * 40503u;
    a ^= a >> 15;
    a *= 2246822519u;
    a ^= a >> 13;
    a *= 3266489917u;
    a ^= a >> 16;
    unsigned b = a * 747796405u + 2891336453u;
    b ^= b >> 16;
    const float u = (static_cast<float>(a >> 8) + 1) / 16777217.0f, v = static_cast<float>(b >> 8) / 16777216.0f;
    out[i] = __float2bfloat16_rn(sqrtf(-2 * logf(u)) * cospif(2 * v));
  }
}

__device__ float rounded(float x, bool low) { return low ? __bfloat162float(__float2bfloat16_rn(x)) : x; }

// One block a (query, head); dynamic shared memory holds the logits of every key. Scores take the segments that count
// for them only, and raise `scores` instead of writing `out`.
__global__ void naive_kernel(const AttentionParams* batch, AttentionShape shape, float* out, float* scores, int score_stride,
                             bool low) {
  extern __shared__ float logit[];
  __shared__ float reduced[256];
  const AttentionParams& params = batch[0];
  const int query = blockIdx.x, head = blockIdx.y, kv_head = head / (shape.heads / shape.kv_heads), dim = shape.head_dim;
  const bf16* q = params.q + query * params.q_stride + head * dim;
  const float scale = scores != nullptr ? shape.score_scale : shape.scale;
  const int at = params.position + query;
  int keys = 0;
  float top = -INFINITY;
  for (int s = 0; s < params.segments; ++s) {
    const KvSegment& g = params.segment[s];
    if (scores != nullptr && !g.in_score) continue;
    for (int j = g.begin + static_cast<int>(threadIdx.x); j < g.end; j += 256) {
      const int position = g.position + j - g.begin;
      float sum = 0;
      for (int d = 0; d < dim; ++d)
        sum += __bfloat162float(q[d]) * __bfloat162float(g.heads[kv_head].k[static_cast<size_t>(j) * dim + d]);
      sum = rounded(sum, low) * scale;
      if (position > at || (shape.window > 0 && position <= at - shape.window)) sum = -INFINITY;
      logit[keys + j - g.begin] = sum;
      top = fmaxf(top, sum);
    }
    keys += g.end - g.begin;
  }
  const auto reduce = [&](float x, bool maximum) {
    reduced[threadIdx.x] = x;
    __syncthreads();
    for (int i = 128; i > 0; i /= 2) {
      if (threadIdx.x < i)
        reduced[threadIdx.x] =
            maximum ? fmaxf(reduced[threadIdx.x], reduced[threadIdx.x + i]) : reduced[threadIdx.x] + reduced[threadIdx.x + i];
      __syncthreads();
    }
    const float result = reduced[0];
    __syncthreads();
    return result;
  };
  top = reduce(top, true);
  float total = 0;
  for (int i = threadIdx.x; i < keys; i += 256) total += logit[i] = expf(logit[i] - top);
  total = reduce(total, false);
  for (int i = threadIdx.x; i < keys; i += 256) logit[i] = rounded(logit[i] / total, low);
  __syncthreads();
  int before = 0;
  for (int s = 0; s < params.segments; ++s) {
    const KvSegment& g = params.segment[s];
    if (scores != nullptr && !g.in_score) continue;
    if (scores != nullptr && g.scored)
      for (int j = g.begin + static_cast<int>(threadIdx.x); j < g.end; j += 256)
        atomicMax(reinterpret_cast<int*>(scores + kv_head * score_stride + j - g.begin),
                  __float_as_int(logit[before + j - g.begin]));
    before += g.end - g.begin;
  }
  if (scores != nullptr) return;
  for (int d = threadIdx.x; d < dim; d += 256) {
    float sum = 0;
    before = 0;
    for (int s = 0; s < params.segments; ++s) {
      const KvSegment& g = params.segment[s];
      for (int j = g.begin; j < g.end; ++j)
        sum += logit[before + j - g.begin] * __bfloat162float(g.heads[kv_head].v[static_cast<size_t>(j) * dim + d]);
      before += g.end - g.begin;
    }
    out[(static_cast<size_t>(query) * shape.heads + head) * dim + d] = rounded(sum, low);
  }
}

int keys_of(const AttentionParams& params, bool scores) {
  int keys = 0;
  for (int s = 0; s < params.segments; ++s)
    if (!scores || params.segment[s].in_score) keys += params.segment[s].end - params.segment[s].begin;
  return keys;
}

template <typename T>
std::vector<float> run_naive(const AttentionShape& shape, const Work& work, bool low, size_t count, T arguments) {
  const Array<AttentionParams> params(std::vector<AttentionParams>{work.params});
  const Array<float> result(count);
  MUST(cudaMemset(result.get(), 0, count * sizeof(float)));
  const bool scores = arguments(result.get()).second != nullptr;
  const int bytes = std::max(keys_of(work.params, scores), 1) * 4;
  MUST(cudaFuncSetAttribute(naive_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, std::max(bytes, 1 << 16)));
  const auto [out, raised] = arguments(result.get());
  naive_kernel<<<dim3(work.params.queries, shape.heads), 256, bytes>>>(params.get(), shape, out, raised, work.scored_keys, low);
  MUST(cudaGetLastError());
  MUST(cudaDeviceSynchronize());
  return result.host();
}

std::vector<Tile> tiles_of(const std::vector<Work*>& works, int rows, int rows_a_query) {
  std::vector<Tile> tiles;
  for (size_t j = 0; j < works.size(); ++j)
    for (int row = 0; row < works[j]->params.queries * rows_a_query; row += rows)
      tiles.push_back({static_cast<int32_t>(j), row});
  const auto cost = [&](const Tile& t) {
    const AttentionParams& params = works[t.index]->params;
    int64_t keys = 0;
    for (int s = 0; s < params.segments; ++s)
      keys += std::clamp<int64_t>(params.position + (t.row + rows) / rows_a_query - params.segment[s].position, 0,
                                  params.segment[s].end - params.segment[s].begin);
    return keys;
  };
  std::stable_sort(tiles.begin(), tiles.end(), [&](const Tile& a, const Tile& b) { return cost(a) > cost(b); });
  return tiles;
}

}  // namespace

void must(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  std::printf("%s: %s\n", doing, cudaGetErrorString(status));
  std::exit(1);
}

void fill_normal(bf16* out, size_t count, unsigned seed) {
  normal_kernel<<<1024, 256>>>(out, count, seed);
  MUST(cudaGetLastError());
}

void poison(void* out, size_t bytes) { MUST(cudaMemset(out, 0xff, bytes)); }

Cache::Cache(int kv_heads, int head_dim, int length, int cluster, unsigned seed)
    : memory_(static_cast<size_t>(kv_heads) * 2 * (length + 37) * head_dim), length_(length) {
  const int capacity = length + 37;
  fill_normal(memory_.get(), memory_.count(), seed);
  std::vector<HeadKv> heads;
  std::vector<HeadMaps> maps;
  const HopperTiles boxes = hopper_attention_tiles(head_dim), score = hopper_score_tiles(head_dim);
  for (int h = 0; h < kv_heads; ++h) {
    bf16* k = memory_.get() + static_cast<size_t>(h) * 2 * capacity * head_dim;
    heads.push_back({k, k + static_cast<size_t>(capacity) * head_dim});
    if (boxes.rows == 0 || cluster == 0) continue;
    HeadMaps m{};
    const MappedArray keys{heads[h].k, head_dim, capacity, head_dim, 1, 0},
        values{heads[h].v, head_dim, capacity, head_dim, 1, 0};
    for (const int c : {0, 1}) {
      MUST(encode(keys, boxes.keys / (c + 1), &m.k[c]));
      MUST(encode(values, boxes.keys / (c + 1), &m.v[c]));
    }
    MUST(encode(keys, score.keys, &m.score_k));
    maps.push_back(m);
  }
  heads_ = std::make_unique<Array<HeadKv>>(heads);
  if (!maps.empty()) maps_ = std::make_unique<Array<HeadMaps>>(maps);
}

Work::Work(const AttentionShape& shape, int queries, int position, const std::vector<Range>& ranges, unsigned seed) {
  const int width = shape.heads * shape.head_dim;
  q = std::make_unique<Array<bf16>>(static_cast<size_t>(queries) * width);
  out = std::make_unique<Array<bf16>>(static_cast<size_t>(queries) * width);
  fill_normal(q->get(), q->count(), seed);
  poison(out->get(), out->count() * sizeof(bf16));
  for (const Range& r : ranges) {
    params.segment[params.segments++] = {r.cache->heads(), r.cache->maps(), nullptr,    nullptr,    nullptr,
                                         r.begin,          r.end,           r.position, r.in_score, r.scored};
    if (r.scored) scored_keys = r.end - r.begin;
  }
  if (scored_keys > 0) {
    scores = std::make_unique<Array<float>>(static_cast<size_t>(shape.kv_heads) * scored_keys);
    MUST(cudaMemset(scores->get(), 0, scores->count() * sizeof(float)));
    params.scores = scores->get();
    lse = std::make_unique<Array<float>>(static_cast<size_t>(shape.heads) * queries);
    poison(lse->get(), lse->count() * sizeof(float));
  }
  params.q = q->get();
  params.out = out->get();
  params.q_stride = params.out_stride = width;
  params.score_stride = scored_keys;
  params.queries = queries;
  params.position = position;
  const HopperTiles tiles = hopper_attention_tiles(shape.head_dim);
  if (tiles.rows > 0) {
    const MappedArray rows{params.q, shape.head_dim, queries, width, shape.heads, shape.head_dim};
    encode(rows, tiles.rows, &params.q_map);
  }
}

const char* name(Path path) { return path == Path::kPortable ? "portable" : path == Path::kHopper ? "hopper" : "hopper pairs"; }
int cluster_of(Path path) { return path == Path::kPortable ? 0 : path == Path::kHopper ? 1 : 2; }
bool runs(Path path, int head_dim) { return path == Path::kPortable || hopper_attention_tiles(head_dim).rows > 0; }

Launch::Launch(Path path, const AttentionShape& shape, const std::vector<Work*>& works, bool lse) : path_(path), shape_(shape) {
  std::vector<AttentionParams> batch;
  for (const Work* work : works) {
    batch.push_back(work->params);
    if (lse && path != Path::kPortable && work->lse) batch.back().lse = work->lse->get();
  }
  const int group = shape.heads / shape.kv_heads, dim = shape.head_dim;
  const bool portable = path == Path::kPortable;
  batch_ = std::make_unique<Array<AttentionParams>>(batch);
  tiles_ = std::make_unique<Array<Tile>>(portable ? tiles_of(works, portable_attention_rows(dim), group)
                                                  : tiles_of(works, hopper_attention_tiles(dim).rows * cluster_of(path), 1));
  score_tiles_ = std::make_unique<Array<Tile>>(portable ? tiles_of(works, portable_attention_rows(dim), group)
                                                        : tiles_of(works, hopper_score_tiles(dim).rows, 1));
  MUST(cudaDeviceGetAttribute(&sm_count_, cudaDevAttrMultiProcessorCount, 0));
}

void Launch::attention() const {
  const auto count = static_cast<int>(tiles_->count());
  if (path_ == Path::kPortable) MUST(portable_attention(batch_->get(), tiles_->get(), count, shape_, nullptr));
  else MUST(hopper_attention(batch_->get(), tiles_->get(), count, shape_, cluster_of(path_), sm_count_, nullptr));
}

void Launch::score() const {
  const auto count = static_cast<int>(score_tiles_->count());
  if (path_ == Path::kPortable) MUST(reconstruction_score(batch_->get(), score_tiles_->get(), count, shape_, nullptr));
  else MUST(hopper_score(batch_->get(), score_tiles_->get(), count, shape_, sm_count_, nullptr));
}

std::vector<float> naive_attention(const AttentionShape& shape, const Work& work, bool low) {
  return run_naive(shape, work, low, static_cast<size_t>(work.params.queries) * shape.heads * shape.head_dim,
                   [](float* result) { return std::pair<float*, float*>(result, nullptr); });
}

std::vector<float> naive_scores(const AttentionShape& shape, const Work& work, bool low) {
  return run_naive(shape, work, low, static_cast<size_t>(shape.kv_heads) * work.scored_keys,
                   [](float* result) { return std::pair<float*, float*>(nullptr, result); });
}

}  // namespace headzip::cuda::dev
