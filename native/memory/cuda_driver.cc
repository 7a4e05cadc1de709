// Loading the driver, function by function.
#include "memory/cuda_driver.h"

#include <dlfcn.h>

#include <cstdlib>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr char kInstallHint[] = "install NVIDIA's driver; the host device works without it";

template <typename Function>
void Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (!function) {
    throw Error("device_unavailable", std::string("the CUDA driver has no ") + name, "a driver for CUDA 11.2 or newer is needed");
  }
}

}  // namespace

bool cuda::IsLost(Result result) {
  switch (result) {
    case kDeinitialized:
    case 214:  // uncorrectable memory error
    case 220:  // uncorrectable NVLink error
    case 226:  // an error was contained
    case 700:  // illegal address
    case 702:  // a kernel ran too long
    case 709:  // the context is destroyed
    case 710:  // an assertion on the device
    case 714:  // corrupt stack or memory of a kernel
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // wrong address space
    case 718:  // invalid program counter
    case 719:  // a kernel failed
    case 999:  // unknown: nothing can be relied on
      return true;
    default:
      return false;
  }
}

std::shared_ptr<const CudaDriver> CudaDriver::Load() {
  const char* override_path = std::getenv("TIDELINE_CUDA_DRIVER");
  const char* path = override_path && *override_path ? override_path : "libcuda.so.1";
  std::shared_ptr<CudaDriver> driver(new CudaDriver);
  // Never closed again: the driver keeps threads of its own.
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = ::dlerror();
    throw Error("device_unavailable", std::string("the CUDA driver cannot be loaded: ") + (reason ? reason : path), kInstallHint);
  }
  Find(library, "cuInit", driver->Init);
  Find(library, "cuDriverGetVersion", driver->DriverGetVersion);
  Find(library, "cuGetErrorString", driver->GetErrorString);
  Find(library, "cuDeviceGetCount", driver->DeviceGetCount);
  Find(library, "cuDeviceGet", driver->DeviceGet);
  Find(library, "cuDeviceGetName", driver->DeviceGetName);
  Find(library, "cuDeviceTotalMem_v2", driver->DeviceTotalMem);
  Find(library, "cuDeviceGetPCIBusId", driver->DeviceGetPciBusId);
  Find(library, "cuDeviceGetUuid", driver->DeviceGetUuid);
  Find(library, "cuDeviceGetAttribute", driver->DeviceGetAttribute);
  Find(library, "cuDevicePrimaryCtxRetain", driver->PrimaryContextRetain);
  Find(library, "cuDevicePrimaryCtxRelease_v2", driver->PrimaryContextRelease);
  Find(library, "cuCtxPushCurrent_v2", driver->ContextPush);
  Find(library, "cuCtxPopCurrent_v2", driver->ContextPop);
  Find(library, "cuCtxSynchronize", driver->ContextSynchronize);
  Find(library, "cuMemGetInfo_v2", driver->MemGetInfo);
  Find(library, "cuMemGetAllocationGranularity", driver->MemGetAllocationGranularity);
  Find(library, "cuMemAddressReserve", driver->MemAddressReserve);
  Find(library, "cuMemAddressFree", driver->MemAddressFree);
  Find(library, "cuMemCreate", driver->MemCreate);
  Find(library, "cuMemRelease", driver->MemRelease);
  Find(library, "cuMemMap", driver->MemMap);
  Find(library, "cuMemUnmap", driver->MemUnmap);
  Find(library, "cuMemSetAccess", driver->MemSetAccess);
  Find(library, "cuMemExportToShareableHandle", driver->MemExportToShareableHandle);
  Find(library, "cuMemHostRegister_v2", driver->MemHostRegister);
  Find(library, "cuMemHostUnregister", driver->MemHostUnregister);
  Find(library, "cuMemcpyHtoDAsync_v2", driver->MemcpyHtoDAsync);
  Find(library, "cuMemcpyDtoHAsync_v2", driver->MemcpyDtoHAsync);
  Find(library, "cuMemcpyDtoDAsync_v2", driver->MemcpyDtoDAsync);
  Find(library, "cuStreamCreate", driver->StreamCreate);
  Find(library, "cuStreamDestroy_v2", driver->StreamDestroy);
  Find(library, "cuStreamSynchronize", driver->StreamSynchronize);
  const cuda::Result result = driver->Init(0);
  if (result != cuda::kSuccess) {
    throw Error("device_unavailable", "the CUDA driver does not start: " + driver->Describe(result), kInstallHint);
  }
  return driver;
}

std::string CudaDriver::NameOf(cuda::Ordinal device) const {
  char name[256] = "";
  return DeviceGetName(name, sizeof name - 1, device) == cuda::kSuccess ? name : "CUDA device";
}

std::string CudaDriver::Describe(cuda::Result result) const {
  const char* text = nullptr;
  if (GetErrorString(result, &text) != cuda::kSuccess || !text) text = "unknown error";
  return std::string(text) + " (" + std::to_string(result) + ")";
}

}  // namespace tideline
