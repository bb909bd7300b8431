#include "step_graph.h"

#include <algorithm>

namespace headzip::cuda {

StepGraph::~StepGraph() {
  if (exec_ != nullptr) cudaGraphExecDestroy(exec_);
}

bool StepGraph::fits(const void* scratch) const {
  return recorded() && scratch == scratch_ && std::all_of(growths_.begin(), growths_.end(), [](const Growth& g) {
    return g.layer->epoch() == g.epoch && g.layer->length(0) == g.length && g.layer->has_room(g.tokens);
  });
}

void StepGraph::begin(cudaStream_t stream, const void* scratch) {
  scratch_ = scratch;
  growths_.clear();
  // Other threads, those that read weights among them, may go on with what they do.
  HEADZIP_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
}

void StepGraph::appends(CudaKvLayer& layer, int64_t tokens) {
  growths_.push_back({&layer, layer.epoch(), layer.length(0) + tokens, tokens});
}

void StepGraph::finish(cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  HEADZIP_CUDA(cudaStreamEndCapture(stream, &graph));
  const cudaError_t made = cudaGraphInstantiateWithFlags(&exec_, graph, 0);
  cudaGraphDestroy(graph);
  HEADZIP_CUDA(made);
}

void StepGraph::launch(cudaStream_t stream) const { HEADZIP_CUDA(cudaGraphLaunch(exec_, stream)); }

void StepGraph::abandon(cudaStream_t stream) noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream, &graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}

void StepGraph::play(cudaStream_t stream) {
  launch(stream);
  for (Growth& g : growths_) {
    g.layer->grow(g.tokens);
    g.length += g.tokens;
  }
}

}  // namespace headzip::cuda
