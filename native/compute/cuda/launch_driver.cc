#include "compute/cuda/launch_driver.h"

#include <string>

#include "memory/error.h"  // Error

namespace tideline {

const LaunchDriver& LaunchDriver::Load() {
  static const LaunchDriver driver;
  return driver;
}

LaunchDriver::LaunchDriver() : CudaDriver(*CudaDriver::Load()) {
  Find("cuModuleLoadData", ModuleLoadData);
  Find("cuModuleUnload", ModuleUnload);
  Find("cuModuleGetFunction", ModuleGetFunction);
  Find("cuFuncSetAttribute", FunctionSetAttribute);
  Find("cuLaunchKernel", LaunchKernel);
  Find("cuLaunchKernelEx", LaunchKernelEx);
  Find("cuStreamBeginCapture_v2", StreamBeginCapture);
  Find("cuStreamEndCapture", StreamEndCapture);
  Find("cuGraphInstantiateWithFlags", GraphInstantiate);
  Find("cuGraphDestroy", GraphDestroy);
  Find("cuGraphLaunch", GraphLaunch);
  Find("cuGraphExecDestroy", GraphExecDestroy);
  Find("cuMemsetD8Async", MemsetD8Async);
}

void LaunchDriver::Check(cuda::Result result, const char* what) const {
  if (result == cuda::kSuccess) return;
  const std::string message = std::string(what) + ": " + Describe(result);
  switch (result) {
    case cuda::kOutOfMemory:
      throw Error("out_of_memory", message, "leave the GPU more memory outside the budget");
    case cuda::kInvalidImage:
    case cuda::kNoBinaryForGpu:
    case cuda::kInvalidPtx:
    case cuda::kUnsupportedPtxVersion:
    case cuda::kJitCompilerNotFound:
      throw Error("unsupported", "this build's kernels do not run on this GPU: " + message,
                  "a GPU of compute capability 8.0 or newer is needed, and a driver no older than the toolkit of the build");
    case cuda::kInvalidValue:
    case cuda::kNotFound:
    case cuda::kLaunchOutOfResources:
      throw Error("internal", message);
    default:
      throw Error("device_lost", message, "the GPU's state is gone: start Tideline again");
  }
}

}  // namespace tideline
