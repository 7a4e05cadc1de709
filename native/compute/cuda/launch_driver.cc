#include "compute/cuda/launch_driver.h"

#include <dlfcn.h>

#include <cstdlib>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

template <typename Function>
void Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (!function) {
    throw Error("device_unavailable", std::string("the CUDA driver has no ") + name, "a driver for CUDA 11.2 or newer is needed");
  }
}

}  // namespace

const LaunchDriver& LaunchDriver::Load() {
  static const LaunchDriver driver;
  return driver;
}

LaunchDriver::LaunchDriver() {
  const char* override_path = std::getenv("TIDELINE_CUDA_DRIVER");
  void* library = ::dlopen(override_path && *override_path ? override_path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    throw Error("device_unavailable", std::string("the CUDA driver cannot be loaded: ") + ::dlerror(),
                "install NVIDIA's driver; the host device works without it");
  }
  Find(library, "cuInit", Init);
  Find(library, "cuGetErrorString", GetErrorString);
  Find(library, "cuDeviceGet", DeviceGet);
  Find(library, "cuDevicePrimaryCtxRetain", PrimaryContextRetain);
  Find(library, "cuDevicePrimaryCtxRelease_v2", PrimaryContextRelease);
  Find(library, "cuCtxPushCurrent_v2", ContextPush);
  Find(library, "cuCtxPopCurrent_v2", ContextPop);
  Find(library, "cuModuleLoadData", ModuleLoadData);
  Find(library, "cuModuleUnload", ModuleUnload);
  Find(library, "cuModuleGetFunction", ModuleGetFunction);
  Find(library, "cuFuncSetAttribute", FunctionSetAttribute);
  Find(library, "cuLaunchKernel", LaunchKernel);
  Find(library, "cuMemcpyHtoDAsync_v2", MemcpyHtoDAsync);
  Find(library, "cuMemcpyDtoHAsync_v2", MemcpyDtoHAsync);
  Find(library, "cuMemcpyDtoDAsync_v2", MemcpyDtoDAsync);
  Find(library, "cuMemsetD8Async", MemsetD8Async);
  Find(library, "cuStreamCreate", StreamCreate);
  Find(library, "cuStreamDestroy_v2", StreamDestroy);
  Find(library, "cuStreamSynchronize", StreamSynchronize);
  Check(Init(0), "cuInit");
}

void LaunchDriver::Check(cuda::Result result, const char* what) const {
  if (result == cuda::kSuccess) return;
  const char* text = nullptr;
  if (GetErrorString(result, &text) != cuda::kSuccess || !text) text = "unknown error";
  const std::string message = std::string(what) + ": " + text + " (" + std::to_string(result) + ")";
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
