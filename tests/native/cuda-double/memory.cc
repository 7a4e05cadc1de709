// Virtual memory, with the real driver's rules checked: exact ranges, access before use, nothing mapped twice.
#include <sys/stat.h>

#include "card.h"  // Card, BEGIN

using namespace cuda_double;

namespace {

struct Location {
  int type, id;
};
struct Properties {
  int type, requested_handle_types;
  Location location;
};
struct Access {
  Location location;
  int flags;
};
constexpr int kFileDescriptor = 1;

}  // namespace

EXPORT int cuMemGetAllocationGranularity(size_t* bytes, const void*, int) {
  BEGIN("cuMemGetAllocationGranularity");
  *bytes = Granularity();
  return kSuccess;
}
EXPORT int cuMemAddressReserve(Address* address, size_t bytes, size_t, Address, unsigned long long) {
  BEGIN("cuMemAddressReserve");
  if (bytes == 0 || bytes % Granularity() != 0) return kInvalidValue;
  void* start = ::mmap(nullptr, bytes, PROT_NONE, kNoAccess, -1, 0);
  if (start == MAP_FAILED) return kOutOfMemory;
  *address = reinterpret_cast<uintptr_t>(start);
  card.reservations[*address] = {bytes, CurrentDevice()};
  ++card.counts().reservations;
  return kSuccess;
}
EXPORT int cuMemAddressFree(Address address, size_t bytes) {
  BEGIN("cuMemAddressFree");
  const auto found = card.reservations.find(address);
  if (found == card.reservations.end() || found->second.bytes != bytes) return kInvalidValue;
  const auto mapped = card.mappings.lower_bound(address);
  if (mapped != card.mappings.end() && mapped->first < address + bytes) return kInvalidValue;
  ::munmap(reinterpret_cast<void*>(address), bytes);
  card.reservations.erase(found);
  --card.counts().reservations;
  return kSuccess;
}

EXPORT int cuMemCreate(Handle* handle, size_t bytes, const Properties* properties, unsigned long long) {
  BEGIN("cuMemCreate");
  if (bytes == 0 || bytes % Granularity() != 0) return kInvalidValue;
  const int device = properties->location.id;
  if (device < 0 || device >= Devices()) return kInvalidDevice;
  if (card.UsedBytes(device) + bytes > kTotalBytes) return kOutOfMemory;
  const int file = ::memfd_create("chunk", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) return kOutOfMemory;
  *handle = card.next_handle++;
  card.allocations[*handle] = {device, file, bytes, 1, properties->requested_handle_types == kFileDescriptor, false};
  ++card.counts().allocations;
  card.counts().bytes += static_cast<int64_t>(bytes);
  card.counts().device_bytes[device] += static_cast<int64_t>(bytes);
  return kSuccess;
}
EXPORT int cuMemRelease(Handle handle) {
  BEGIN("cuMemRelease");
  if (!card.allocations.contains(handle)) return kInvalidValue;
  card.Drop(handle);
  return kSuccess;
}
EXPORT int cuMemExportToShareableHandle(int* file, Handle handle, int type, unsigned long long) {
  BEGIN("cuMemExportToShareableHandle");
  const auto found = card.allocations.find(handle);
  if (found == card.allocations.end() || !found->second.exportable || type != kFileDescriptor) return kInvalidValue;
  *file = ::fcntl(found->second.file, F_DUPFD_CLOEXEC, 0);
  return *file < 0 ? kOutOfMemory : kSuccess;
}
EXPORT int cuMemImportFromShareableHandle(Handle* handle, void* shareable, int type) {
  BEGIN("cuMemImportFromShareableHandle");
  const auto given = static_cast<int>(reinterpret_cast<intptr_t>(shareable));
  struct stat status;
  if (type != kFileDescriptor || ::fstat(given, &status) != 0) return kInvalidValue;
  *handle = card.next_handle++;
  card.allocations[*handle] = {CurrentDevice(), ::fcntl(given, F_DUPFD_CLOEXEC, 0), static_cast<size_t>(status.st_size), 1, false, true};
  ++card.counts().allocations;
  return kSuccess;
}

EXPORT int cuMemMap(Address address, size_t bytes, size_t, Handle handle, unsigned long long) {
  BEGIN("cuMemMap");
  const auto found = card.allocations.find(handle);
  if (found == card.allocations.end() || found->second.bytes != bytes || card.mappings.contains(address)) return kInvalidValue;
  ::mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, found->second.file, 0);
  ++found->second.references;
  card.mappings[address] = {.bytes = bytes, .handle = handle};
  ++card.counts().mappings;
  return kSuccess;
}
EXPORT int cuMemUnmap(Address address, size_t bytes) {
  BEGIN("cuMemUnmap");
  const auto found = card.mappings.find(address);
  if (found == card.mappings.end() || found->second.bytes != bytes || found->second.busy) return kInvalidValue;
  card.Unmap(found);
  return kSuccess;
}
EXPORT int cuMemSetAccess(Address address, size_t bytes, const Access* access, size_t count) {
  BEGIN("cuMemSetAccess");
  if (bytes == 0 || count != 1) return kInvalidValue;
  const int device = access->location.id;
  size_t whole = 0;
  while (whole < bytes) {
    const auto found = card.mappings.find(address + whole);
    if (found == card.mappings.end() || !CanReach(device, card.allocations.at(found->second.handle).device)) return kInvalidDevice;
    whole += found->second.bytes;
  }
  if (whole != bytes) return kInvalidValue;
  for (auto at = card.mappings.find(address); at != card.mappings.end() && at->first < address + bytes; ++at) {
    Mapping& mapping = at->second;
    if (card.allocations.at(mapping.handle).device != device) {
      mapping.admitted |= 1u << device;
    } else {
      mapping.access = true;
    }
  }
  if (device == card.DeviceOf(address) && !Guarded()) ::mprotect(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE);
  return kSuccess;
}
