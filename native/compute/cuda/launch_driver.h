// The driver's calls that computing needs beside those of memory, from the same library: modules and launches.
#pragma once

#include <cstddef>

#include "memory/cuda_driver.h"  // CudaDriver

namespace tideline {

namespace cuda {

using Module = struct ModuleObject*;
using Function = struct FunctionObject*;
using Graph = struct GraphObject*;
using GraphExec = struct GraphExecObject*;

enum : Result {
  kInvalidImage = 200, kNoBinaryForGpu = 209, kInvalidPtx = 218, kUnsupportedPtxVersion = 222, kJitCompilerNotFound = 221,
  kNotFound = 500,
};
enum FunctionAttribute : int { kMaxDynamicSharedBytes = 8 };
enum CaptureMode : int { kCaptureRelaxed = 2 };  // what other threads do is none of a capture's business

struct LaunchAttribute {
  int id;
  char padding[4];
  union {
    char bytes[64];
    int value;
  };
};
inline constexpr int kProgrammaticStreamSerialization = 6;  // of LaunchAttribute::id

struct LaunchConfig {
  unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  Stream stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};

}  // namespace cuda

struct LaunchDriver : CudaDriver {
  // Errors: device_unavailable.
  static const LaunchDriver& Load();

  cuda::Result (*ModuleLoadData)(cuda::Module*, const void* image);
  cuda::Result (*ModuleUnload)(cuda::Module);
  cuda::Result (*ModuleGetFunction)(cuda::Function*, cuda::Module, const char* name);
  cuda::Result (*FunctionSetAttribute)(cuda::Function, int attribute, int value);
  cuda::Result (*LaunchKernel)(cuda::Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                               unsigned block_y, unsigned block_z, unsigned shared_bytes, cuda::Stream, void** arguments,
                               void** extra);
  cuda::Result (*LaunchKernelEx)(const cuda::LaunchConfig*, cuda::Function, void** arguments, void** extra);
  cuda::Result (*StreamBeginCapture)(cuda::Stream, int mode);
  cuda::Result (*StreamEndCapture)(cuda::Stream, cuda::Graph*);
  cuda::Result (*GraphInstantiate)(cuda::GraphExec*, cuda::Graph, unsigned long long flags);
  cuda::Result (*GraphDestroy)(cuda::Graph);
  cuda::Result (*GraphLaunch)(cuda::GraphExec, cuda::Stream);
  cuda::Result (*GraphExecDestroy)(cuda::GraphExec);
  cuda::Result (*MemsetD8Async)(cuda::Address, unsigned char, size_t, cuda::Stream);

 private:
  LaunchDriver();
};

}  // namespace tideline
