// A double of libcuda.so.1 for machines without a GPU: the calls that the addon uses, on shared memory of this process,
// with the real driver's rules checked (a current context, exact ranges, access before use, nothing mapped twice).
// FAKE_CUDA_FAIL=<call>:<n>:<result> makes the n-th such call from now on return that result, once; setting it to
// another value arms it again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kInvalidValue = 1, kOutOfMemory = 2, kInvalidContext = 201;
constexpr size_t kGranularity = size_t{2} << 20;
constexpr size_t kTotalBytes = size_t{1} << 30;
constexpr size_t kContextBytes = size_t{64} << 20;

struct Allocation {
  int file;
  size_t bytes;
  int references;
};
struct Mapping {
  size_t bytes;
  unsigned long long handle;
};

std::mutex mutex;
std::map<unsigned long long, Allocation> allocations;
std::map<unsigned long long, Mapping> mappings;
std::map<unsigned long long, size_t> reservations;
unsigned long long next_handle = 1;
int registered_buffers = 0;
thread_local int current_contexts = 0;

// The result that FAKE_CUDA_FAIL wants for this call, or 0.
int Injected(const char* call) {
  static std::string armed;
  static int countdown = 0;
  const char* text = std::getenv("FAKE_CUDA_FAIL");
  if (!text || !*text) {
    armed.clear();
    return 0;
  }
  const std::string wanted = text;
  const size_t first = wanted.find(':');
  const size_t second = wanted.find(':', first + 1);
  if (wanted != armed) {
    armed = wanted;
    countdown = std::stoi(wanted.substr(first + 1, second - first - 1));
  }
  if (wanted.substr(0, first) != call || countdown == 0 || --countdown > 0) return 0;
  return std::stoi(wanted.substr(second + 1));
}

size_t UsedBytes() {
  size_t used = kContextBytes;
  for (const auto& [handle, allocation] : allocations) used += allocation.bytes;
  return used;
}

void Drop(unsigned long long handle) {
  Allocation& allocation = allocations.at(handle);
  if (--allocation.references > 0) return;
  ::close(allocation.file);
  allocations.erase(handle);
}

// Without access to the addresses this faults, as a GPU would.
int Copy(void* target, const void* source, size_t bytes, const char* call) {
  const std::lock_guard lock(mutex);
  if (current_contexts == 0) return kInvalidContext;
  if (const int result = Injected(call)) return result;
  std::memcpy(target, source, bytes);
  return 0;
}

}  // namespace

#define BEGIN(call)                              \
  const std::lock_guard lock(mutex);             \
  if (current_contexts == 0) return kInvalidContext; \
  if (const int result = Injected(call)) return result

EXPORT int cuInit(unsigned) { return 0; }
EXPORT int cuDriverGetVersion(int* version) { *version = 12040; return 0; }
EXPORT int cuGetErrorString(int result, const char** text) {
  *text = result == kOutOfMemory ? "out of memory" : "an error of the double";
  return 0;
}
EXPORT int cuDeviceGetCount(int* count) { *count = 1; return 0; }
EXPORT int cuDeviceGet(int* device, int ordinal) { *device = ordinal; return ordinal == 0 ? 0 : kInvalidValue; }
EXPORT int cuDeviceGetName(char* name, int bytes, int) { std::strncpy(name, "Double of a GPU", bytes); return 0; }
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = kTotalBytes; return 0; }
EXPORT int cuDeviceGetPCIBusId(char* id, int bytes, int) { std::strncpy(id, "0000:00:00.0", bytes); return 0; }
EXPORT int cuDevicePrimaryCtxRetain(void** context, int) { *context = &mutex; return 0; }
EXPORT int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
EXPORT int cuCtxPushCurrent_v2(void*) { ++current_contexts; return 0; }
EXPORT int cuCtxPopCurrent_v2(void**) { --current_contexts; return 0; }
EXPORT int cuCtxSynchronize() { BEGIN("cuCtxSynchronize"); return 0; }
EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
  BEGIN("cuMemGetInfo");
  *total = kTotalBytes;
  *free = kTotalBytes - UsedBytes();
  return 0;
}
EXPORT int cuMemGetAllocationGranularity(size_t* bytes, const void*, int) { *bytes = kGranularity; return 0; }

EXPORT int cuMemAddressReserve(unsigned long long* address, size_t bytes, size_t, unsigned long long, unsigned long long) {
  BEGIN("cuMemAddressReserve");
  if (bytes % kGranularity != 0) return kInvalidValue;
  void* start = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return kOutOfMemory;
  *address = reinterpret_cast<uintptr_t>(start);
  reservations[*address] = bytes;
  return 0;
}
EXPORT int cuMemAddressFree(unsigned long long address, size_t bytes) {
  BEGIN("cuMemAddressFree");
  const auto found = reservations.find(address);
  if (found == reservations.end() || found->second != bytes) return kInvalidValue;
  const auto mapped = mappings.lower_bound(address);
  if (mapped != mappings.end() && mapped->first < address + bytes) return kInvalidValue;
  ::munmap(reinterpret_cast<void*>(address), bytes);
  reservations.erase(found);
  return 0;
}
EXPORT int cuMemCreate(unsigned long long* handle, size_t bytes, const void*, unsigned long long) {
  BEGIN("cuMemCreate");
  if (bytes % kGranularity != 0) return kInvalidValue;
  if (UsedBytes() + bytes > kTotalBytes) return kOutOfMemory;
  const int file = ::memfd_create("chunk", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) return kOutOfMemory;
  *handle = next_handle++;
  allocations[*handle] = {file, bytes, 1};
  return 0;
}
EXPORT int cuMemRelease(unsigned long long handle) {
  BEGIN("cuMemRelease");
  if (!allocations.contains(handle)) return kInvalidValue;
  Drop(handle);
  return 0;
}
EXPORT int cuMemMap(unsigned long long address, size_t bytes, size_t, unsigned long long handle, unsigned long long) {
  BEGIN("cuMemMap");
  const auto found = allocations.find(handle);
  if (found == allocations.end() || found->second.bytes != bytes || mappings.contains(address)) return kInvalidValue;
  ::mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, found->second.file, 0);
  ++found->second.references;
  mappings[address] = {bytes, handle};
  return 0;
}
EXPORT int cuMemUnmap(unsigned long long address, size_t bytes) {
  BEGIN("cuMemUnmap");
  const auto found = mappings.find(address);
  if (found == mappings.end() || found->second.bytes != bytes) return kInvalidValue;
  ::mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  Drop(found->second.handle);
  mappings.erase(found);
  return 0;
}
EXPORT int cuMemSetAccess(unsigned long long address, size_t bytes, const void*, size_t) {
  BEGIN("cuMemSetAccess");
  for (size_t offset = 0; offset < bytes;) {
    const auto found = mappings.find(address + offset);
    if (found == mappings.end()) return kInvalidValue;
    offset += found->second.bytes;
  }
  ::mprotect(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE);
  return 0;
}
EXPORT int cuMemHostRegister_v2(void*, size_t, unsigned) { BEGIN("cuMemHostRegister"); ++registered_buffers; return 0; }
EXPORT int cuMemHostUnregister(void*) {
  BEGIN("cuMemHostUnregister");
  if (registered_buffers == 0) return kInvalidValue;
  --registered_buffers;
  return 0;
}
EXPORT int cuMemcpyHtoDAsync_v2(unsigned long long target, const void* source, size_t bytes, void*) {
  return Copy(reinterpret_cast<void*>(target), source, bytes, "cuMemcpyHtoDAsync");
}
EXPORT int cuMemcpyDtoHAsync_v2(void* target, unsigned long long source, size_t bytes, void*) {
  return Copy(target, reinterpret_cast<const void*>(source), bytes, "cuMemcpyDtoHAsync");
}
EXPORT int cuMemcpyDtoDAsync_v2(unsigned long long target, unsigned long long source, size_t bytes, void*) {
  return Copy(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes, "cuMemcpyDtoDAsync");
}
EXPORT int cuStreamCreate(void** stream, unsigned) { BEGIN("cuStreamCreate"); *stream = &mutex; return 0; }
EXPORT int cuStreamDestroy_v2(void*) { BEGIN("cuStreamDestroy"); return 0; }
EXPORT int cuStreamSynchronize(void*) { BEGIN("cuStreamSynchronize"); return 0; }
