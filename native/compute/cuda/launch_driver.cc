#include "compute/cuda/launch_driver.h"

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

}  // namespace tideline
