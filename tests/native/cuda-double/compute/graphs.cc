// Capturing, and launching what was captured.
#include <memory>

#include "../capture.h"  // Graph, capture
#include "../card.h"     // Card, BEGIN

using namespace cuda_double;

namespace {

constexpr int kIllegalState = 401;

}  // namespace

EXPORT int cuStreamBeginCapture_v2(const void*, int) {
  BEGIN("cuStreamBeginCapture");
  if (capture) return kIllegalState;
  capture = new Graph;
  return kSuccess;
}
EXPORT int cuStreamEndCapture(const void*, Graph** graph) {
  // Ends also where it fails.
  const std::unique_ptr<Graph> ended(capture);
  capture = nullptr;
  *graph = nullptr;
  BEGIN("cuStreamEndCapture");
  if (!ended) return kIllegalState;
  if (ended->invalid) return kCaptureInvalidated;
  *graph = new Graph(*ended);
  return kSuccess;
}
EXPORT int cuGraphInstantiateWithFlags(Graph** executable, const Graph* graph, unsigned long long) {
  BEGIN("cuGraphInstantiate");
  *executable = new Graph(*graph);
  return kSuccess;
}
EXPORT int cuGraphDestroy(Graph* graph) {
  delete graph;
  return kSuccess;
}
EXPORT int cuGraphExecDestroy(Graph* graph) {
  delete graph;
  return kSuccess;
}
EXPORT int cuGraphLaunch(const Graph* graph, const void* stream) {
  BEGIN("cuGraphLaunch");
  if (stream != StreamOf(CurrentDevice())) return kInvalidValue;
  for (const auto& node : graph->nodes) {
    if (const int result = node()) return result;
  }
  return kSuccess;
}
