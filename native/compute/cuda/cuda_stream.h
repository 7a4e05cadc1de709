// CudaStream: what a CudaCompute gives its work to. One GPU's primary context, this build's kernels loaded into it, and a
// stream of its own on which everything runs in the order of the calls.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compute/cuda/launch_driver.h"  // LaunchDriver

namespace tideline {

struct Grid {
  uint64_t x = 1, y = 1, z = 1;
};

class CudaGraph;

class CudaStream {
 public:
  // Errors: device_unavailable, unsupported (no kernels, or not for this GPU), out_of_memory, device_lost.
  explicit CudaStream(int ordinal);
  ~CudaStream();
  CudaStream(const CudaStream&) = delete;

  // `kernel` is a name of kernels/*.cu and `arguments` its struct of kernel_args.h. An empty grid launches nothing.
  template <typename Arguments>
  void Launch(std::string_view kernel, Grid grid, unsigned threads, const Arguments& arguments, unsigned shared_bytes = 0) {
    LaunchRaw(kernel, grid, threads, &arguments, shared_bytes);
  }

  // `source` may be reused at once.
  void Upload(void* target, const void* source, uint64_t bytes);
  // There when it returns.
  void Download(void* target, const void* source, uint64_t bytes);
  void Copy(void* target, const void* source, uint64_t bytes);
  void Zero(void* target, uint64_t bytes);
  void Synchronize();
  // Records what `work` gives to the stream, which is not done. It may move nothing to or from the host. In such a record a
  // kernel's blocks may start while the one before still runs, and wait for it where they need it
  // (WaitForEarlierKernels).
  std::unique_ptr<CudaGraph> Capture(const std::function<void()>& work);
  void Launch(const CudaGraph& graph);

  // For libraries that launch kernels of their own: `work` is called with the context current and given the stream.
  void Run(const std::function<void(cuda::Stream)>& work) const;
  // For who calls the driver there. Throws for anything but success; `what` is the call. out_of_memory, device_lost, unsupported
  // (the kernels do not run on this GPU) or internal.
  void Check(cuda::Result result, const char* what) const;

 private:
  friend class CudaGraph;
  // The primary context, held and current on this thread for a scope.
  class Current;
  struct Kernel {
    cuda::Function function;
    unsigned shared_bytes;  // that it may use at most
  };

  void LaunchRaw(std::string_view name, Grid grid, unsigned threads, const void* arguments, unsigned shared_bytes);
  Kernel& Find(std::string_view name);
  void CloseAll() noexcept;

  const LaunchDriver& driver_;
  cuda::Ordinal device_;
  cuda::Context context_ = nullptr;
  std::vector<cuda::Module> modules_;
  cuda::Stream stream_ = nullptr;
  std::map<std::string, Kernel, std::less<>> kernels_;
  bool overlaps_ = false;   // this GPU lets blocks start before the kernel before has ended, and has the code that waits
  bool capturing_ = false;
};

// A record of one stream, which outlives it.
class CudaGraph {
 public:
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;

 private:
  friend class CudaStream;
  CudaGraph(const CudaStream& stream, cuda::GraphExec executable) : stream_(stream), executable_(executable) {}

  const CudaStream& stream_;
  const cuda::GraphExec executable_;
};

}  // namespace tideline
