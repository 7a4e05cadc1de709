// The CUDA driver through dlopen: only the calls that virtual memory and copies need, with our own declarations, so that
// Tideline builds without a toolkit and starts without a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "memory/error.h"  // Error

namespace tideline {

// The driver's types, as its ABI fixes them (CUDA driver API, 64-bit Linux).
namespace cuda {

using Result = int;
using Ordinal = int;
using Context = struct ContextObject*;
using Stream = struct StreamObject*;
using Address = unsigned long long;
using AllocationHandle = unsigned long long;

enum : Result { kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kNotInitialized = 3, kDeinitialized = 4, kNoDevice = 100 };
// Of enabling access to a peer, which is all that they say.
enum : Result { kPeerAccessUnsupported = 217, kPeerAccessAlreadyEnabled = 704, kTooManyPeers = 711 };

// After which the context answers nothing else any more: its memory and its work are gone.
bool IsLost(Result result);
// device_lost, naming the device; `said` is the call that found out and what the driver answered.
Error LostError(Ordinal device, const std::string& said);

enum LocationType : int { kLocationDevice = 1 };
enum AllocationType : int { kAllocationPinned = 1 };
enum AccessFlags : int { kAccessReadWrite = 3 };
enum StreamFlags : unsigned { kStreamNonBlocking = 1 };
enum GranularityFlag : int { kGranularityMinimum = 0 };
enum HandleType : int { kHandleNone = 0, kHandleFileDescriptor = 1 };
enum Attribute : int { kFileDescriptorsSupported = 103 };

struct Uuid {
  unsigned char bytes[16];
};

struct Location {
  int type;
  int id;
};

struct AllocationProperties {
  int type;
  int requested_handle_types;
  Location location;
  void* win32_handle_metadata;
  struct {
    unsigned char compression_type;
    unsigned char gpu_direct_rdma_capable;
    unsigned short usage;
    unsigned char reserved[4];
  } flags;
};
static_assert(sizeof(AllocationProperties) == 32);

struct AccessDescriptor {
  Location location;
  int flags;
};
static_assert(sizeof(AccessDescriptor) == 12);

struct IpcHandle {
  unsigned char bytes[64];
};
enum IpcFlags : unsigned { kIpcLazyPeerAccess = 1 };

}  // namespace cuda

struct CudaDriver {
  // Loads libcuda.so.1, or what the environment variable TIDELINE_CUDA_DRIVER names (tests put a double there), and
  // initialises it. Error device_unavailable saying what is missing.
  static std::shared_ptr<const CudaDriver> Load();

  // "out of memory (2)".
  std::string Describe(cuda::Result result) const;
  // "NVIDIA H100 80GB HBM3".
  std::string NameOf(cuda::Ordinal device) const;

  cuda::Result (*Init)(unsigned);
  cuda::Result (*DriverGetVersion)(int*);
  cuda::Result (*GetErrorString)(cuda::Result, const char**);
  cuda::Result (*DeviceGetCount)(int*);
  cuda::Result (*DeviceGet)(cuda::Ordinal*, int);
  cuda::Result (*DeviceGetName)(char*, int, cuda::Ordinal);
  cuda::Result (*DeviceTotalMem)(size_t*, cuda::Ordinal);
  cuda::Result (*DeviceGetPciBusId)(char*, int, cuda::Ordinal);
  cuda::Result (*DeviceGetUuid)(cuda::Uuid*, cuda::Ordinal);
  cuda::Result (*DeviceGetAttribute)(int*, int attribute, cuda::Ordinal);
  cuda::Result (*PrimaryContextRetain)(cuda::Context*, cuda::Ordinal);
  cuda::Result (*PrimaryContextRelease)(cuda::Ordinal);
  cuda::Result (*ContextPush)(cuda::Context);
  cuda::Result (*ContextPop)(cuda::Context*);
  cuda::Result (*ContextSynchronize)();
  cuda::Result (*DeviceCanAccessPeer)(int*, cuda::Ordinal, cuda::Ordinal peer);
  cuda::Result (*ContextEnablePeerAccess)(cuda::Context peer, unsigned flags);
  cuda::Result (*MemGetInfo)(size_t* free, size_t* total);
  cuda::Result (*MemGetAllocationGranularity)(size_t*, const cuda::AllocationProperties*, int);
  cuda::Result (*MemAddressReserve)(cuda::Address*, size_t bytes, size_t alignment, cuda::Address hint, unsigned long long flags);
  cuda::Result (*MemAddressFree)(cuda::Address, size_t);
  cuda::Result (*MemCreate)(cuda::AllocationHandle*, size_t, const cuda::AllocationProperties*, unsigned long long flags);
  cuda::Result (*MemRelease)(cuda::AllocationHandle);
  cuda::Result (*MemMap)(cuda::Address, size_t bytes, size_t offset, cuda::AllocationHandle, unsigned long long flags);
  cuda::Result (*MemUnmap)(cuda::Address, size_t);
  cuda::Result (*MemSetAccess)(cuda::Address, size_t, const cuda::AccessDescriptor*, size_t count);
  cuda::Result (*MemExportToShareableHandle)(void* shareable, cuda::AllocationHandle, int type, unsigned long long flags);
  cuda::Result (*IpcOpenMemHandle)(cuda::Address*, cuda::IpcHandle, unsigned flags);
  cuda::Result (*IpcCloseMemHandle)(cuda::Address);
  cuda::Result (*MemGetAddressRange)(cuda::Address* base, size_t* bytes, cuda::Address);
  cuda::Result (*MemHostRegister)(void*, size_t, unsigned flags);
  cuda::Result (*MemHostUnregister)(void*);
  cuda::Result (*MemcpyHtoDAsync)(cuda::Address, const void*, size_t, cuda::Stream);
  cuda::Result (*MemcpyDtoHAsync)(void*, cuda::Address, size_t, cuda::Stream);
  cuda::Result (*MemcpyDtoDAsync)(cuda::Address, cuda::Address, size_t, cuda::Stream);
  cuda::Result (*MemcpyPeerAsync)(cuda::Address, cuda::Context, cuda::Address, cuda::Context source, size_t, cuda::Stream);
  cuda::Result (*StreamCreate)(cuda::Stream*, unsigned flags);
  cuda::Result (*StreamDestroy)(cuda::Stream);
  cuda::Result (*StreamSynchronize)(cuda::Stream);

 protected:
  // Error device_unavailable for a call that the library does not have.
  template <typename Function>
  void Find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(Symbol(name));
  }

 private:
  CudaDriver() = default;
  void* Symbol(const char* name) const;

  void* library_ = nullptr;  // never closed again: the driver keeps threads of its own
};

}  // namespace tideline
