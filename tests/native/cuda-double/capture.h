// Graphs: while a thread captures, what it gives to a stream is kept instead of done, and done at each launch of the graph.
#pragma once

#include <functional>
#include <vector>

namespace cuda_double {

struct Graph {
  std::vector<std::function<int()>> nodes;
  bool invalid = false;  // something was asked for that no capture may
};

constexpr int kCaptureUnsupported = 900, kCaptureInvalidated = 901;

// Of this thread; nullptr: none is under way.
extern thread_local Graph* capture;

// For what needs the host: success where nothing is captured.
inline int RefuseInCapture() {
  if (!capture) return 0;
  capture->invalid = true;
  return kCaptureUnsupported;
}

}  // namespace cuda_double
