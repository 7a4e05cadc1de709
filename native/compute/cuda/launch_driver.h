// The driver's calls that computing needs beside those of memory (memory/cuda_driver.h), through dlopen of the same
// library: a context, a module, a stream and launches.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "memory/cuda_driver.h"  // cuda::Result, Context, Stream, Address

namespace tideline {

namespace cuda {

using Module = struct ModuleObject*;
using Function = struct FunctionObject*;

enum : Result {
  kInvalidImage = 200, kNoBinaryForGpu = 209, kInvalidPtx = 218, kUnsupportedPtxVersion = 222, kJitCompilerNotFound = 221,
  kNotFound = 500, kLaunchOutOfResources = 701,
};
enum FunctionAttribute : int { kMaxDynamicSharedBytes = 8 };

}  // namespace cuda

struct LaunchDriver {
  // Errors: device_unavailable.
  static const LaunchDriver& Load();

  // Throws for anything but success; `what` is the call. out_of_memory, device_lost (what stays with the context until the
  // process ends), unsupported (the kernels do not run on this GPU) or internal.
  void Check(cuda::Result result, const char* what) const;

  cuda::Result (*Init)(unsigned);
  cuda::Result (*GetErrorString)(cuda::Result, const char**);
  cuda::Result (*DeviceGet)(cuda::Ordinal*, int);
  cuda::Result (*PrimaryContextRetain)(cuda::Context*, cuda::Ordinal);
  cuda::Result (*PrimaryContextRelease)(cuda::Ordinal);
  cuda::Result (*ContextPush)(cuda::Context);
  cuda::Result (*ContextPop)(cuda::Context*);
  cuda::Result (*ModuleLoadData)(cuda::Module*, const void* image);
  cuda::Result (*ModuleUnload)(cuda::Module);
  cuda::Result (*ModuleGetFunction)(cuda::Function*, cuda::Module, const char* name);
  cuda::Result (*FunctionSetAttribute)(cuda::Function, int attribute, int value);
  cuda::Result (*LaunchKernel)(cuda::Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                               unsigned block_y, unsigned block_z, unsigned shared_bytes, cuda::Stream, void** arguments,
                               void** extra);
  cuda::Result (*MemcpyHtoDAsync)(cuda::Address, const void*, size_t, cuda::Stream);
  cuda::Result (*MemcpyDtoHAsync)(void*, cuda::Address, size_t, cuda::Stream);
  cuda::Result (*MemcpyDtoDAsync)(cuda::Address, cuda::Address, size_t, cuda::Stream);
  cuda::Result (*MemsetD8Async)(cuda::Address, unsigned char, size_t, cuda::Stream);
  cuda::Result (*StreamCreate)(cuda::Stream*, unsigned flags);
  cuda::Result (*StreamDestroy)(cuda::Stream);
  cuda::Result (*StreamSynchronize)(cuda::Stream);

 private:
  LaunchDriver();
};

}  // namespace tideline
