// Loading the driver, function by function.
#include "memory/cuda_driver.h"

#include <dlfcn.h>

#include <cstdlib>

namespace tideline {
namespace {

constexpr char kInstallHint[] = "install NVIDIA's driver; the host device works without it";

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

Error cuda::LostError(Ordinal device, const std::string& said) {
  const std::string name = "cuda:" + std::to_string(device);
  return Error("device_lost", name + " stopped answering, and what it held is gone: " + said,
               "choose " + name + " again, or another device; if it still does not answer, start Tideline again");
}

void* CudaDriver::Symbol(const char* name) const {
  if (void* symbol = ::dlsym(library_, name)) return symbol;
  throw Error("device_unavailable", std::string("the CUDA driver has no ") + name, "a driver for CUDA 11.2 or newer is needed");
}

std::shared_ptr<const CudaDriver> CudaDriver::Load() {
  const char* override_path = std::getenv("TIDELINE_CUDA_DRIVER");
  const char* path = override_path && *override_path ? override_path : "libcuda.so.1";
  std::shared_ptr<CudaDriver> driver(new CudaDriver);
  driver->library_ = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!driver->library_) {
    const char* reason = ::dlerror();
    throw Error("device_unavailable", std::string("the CUDA driver cannot be loaded: ") + (reason ? reason : path), kInstallHint);
  }
  driver->Find("cuInit", driver->Init);
  driver->Find("cuDriverGetVersion", driver->DriverGetVersion);
  driver->Find("cuGetErrorString", driver->GetErrorString);
  driver->Find("cuDeviceGetCount", driver->DeviceGetCount);
  driver->Find("cuDeviceGet", driver->DeviceGet);
  driver->Find("cuDeviceGetName", driver->DeviceGetName);
  driver->Find("cuDeviceTotalMem_v2", driver->DeviceTotalMem);
  driver->Find("cuDeviceGetPCIBusId", driver->DeviceGetPciBusId);
  driver->Find("cuDeviceGetUuid", driver->DeviceGetUuid);
  driver->Find("cuDeviceGetAttribute", driver->DeviceGetAttribute);
  driver->Find("cuDevicePrimaryCtxRetain", driver->PrimaryContextRetain);
  driver->Find("cuDevicePrimaryCtxRelease_v2", driver->PrimaryContextRelease);
  driver->Find("cuCtxPushCurrent_v2", driver->ContextPush);
  driver->Find("cuCtxPopCurrent_v2", driver->ContextPop);
  driver->Find("cuCtxSynchronize", driver->ContextSynchronize);
  driver->Find("cuDeviceCanAccessPeer", driver->DeviceCanAccessPeer);
  driver->Find("cuCtxEnablePeerAccess", driver->ContextEnablePeerAccess);
  driver->Find("cuMemGetInfo_v2", driver->MemGetInfo);
  driver->Find("cuMemGetAllocationGranularity", driver->MemGetAllocationGranularity);
  driver->Find("cuMemAddressReserve", driver->MemAddressReserve);
  driver->Find("cuMemAddressFree", driver->MemAddressFree);
  driver->Find("cuMemCreate", driver->MemCreate);
  driver->Find("cuMemRelease", driver->MemRelease);
  driver->Find("cuMemMap", driver->MemMap);
  driver->Find("cuMemUnmap", driver->MemUnmap);
  driver->Find("cuMemSetAccess", driver->MemSetAccess);
  driver->Find("cuMemExportToShareableHandle", driver->MemExportToShareableHandle);
  driver->Find("cuIpcOpenMemHandle_v2", driver->IpcOpenMemHandle);
  driver->Find("cuIpcCloseMemHandle", driver->IpcCloseMemHandle);
  driver->Find("cuMemGetAddressRange_v2", driver->MemGetAddressRange);
  driver->Find("cuMemHostRegister_v2", driver->MemHostRegister);
  driver->Find("cuMemHostUnregister", driver->MemHostUnregister);
  driver->Find("cuMemcpyHtoDAsync_v2", driver->MemcpyHtoDAsync);
  driver->Find("cuMemcpyDtoHAsync_v2", driver->MemcpyDtoHAsync);
  driver->Find("cuMemcpyDtoDAsync_v2", driver->MemcpyDtoDAsync);
  driver->Find("cuMemcpyPeerAsync", driver->MemcpyPeerAsync);
  driver->Find("cuStreamCreate", driver->StreamCreate);
  driver->Find("cuStreamDestroy_v2", driver->StreamDestroy);
  driver->Find("cuStreamSynchronize", driver->StreamSynchronize);
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
