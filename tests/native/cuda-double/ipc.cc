// Plain allocations, and what CUDA IPC makes of them: another process maps the same memory file, found by the process and the
// descriptor that the handle names. As on a real card, whoever made an allocation cannot open its handle.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <iterator>
#include <string>

#include "card.h"  // Card, BEGIN

using namespace cuda_double;

namespace {

struct IpcHandle {
  pid_t process;
  int file;
  ino_t inode;  // a descriptor's number may be another file's by now
  char reserved[64 - 2 * sizeof(int) - sizeof(ino_t)];
};
static_assert(sizeof(IpcHandle) == 64);

// The mapping that has the address, which is made by what is below: it begins where its reservation does.
auto MappingOf(Card& card, Address address) {
  const auto after = card.mappings.upper_bound(address);
  if (after == card.mappings.begin()) return card.mappings.end();
  const auto found = std::prev(after);
  return address < found->first + found->second.bytes ? found : card.mappings.end();
}

int MapWhole(Card& card, int file, size_t bytes, bool imported, Address* address) {
  const int protection = Guarded() ? PROT_NONE : PROT_READ | PROT_WRITE;
  void* start = ::mmap(nullptr, bytes, protection, MAP_SHARED, file, 0);
  if (start == MAP_FAILED) {
    ::close(file);
    return kOutOfMemory;
  }
  *address = reinterpret_cast<uintptr_t>(start);
  const int device = CurrentDevice();
  const Handle handle = card.next_handle++;
  card.allocations[handle] = {device, file, bytes, 1, false, imported};
  card.mappings[*address] = {bytes, handle, true};
  ++card.counts().allocations;
  ++card.counts().mappings;
  if (imported) return kSuccess;
  card.counts().bytes += static_cast<int64_t>(bytes);
  card.counts().device_bytes[device] += static_cast<int64_t>(bytes);
  return kSuccess;
}

int UnmapWhole(Card& card, Address address) {
  const auto found = card.mappings.find(address);
  if (found == card.mappings.end()) return kInvalidValue;
  ::munmap(reinterpret_cast<void*>(address), found->second.bytes);
  card.Drop(found->second.handle);
  card.mappings.erase(found);
  --card.counts().mappings;
  return kSuccess;
}

}  // namespace

EXPORT int cuMemAlloc_v2(Address* address, size_t bytes) {
  BEGIN("cuMemAlloc");
  const size_t rounded = (bytes + Granularity() - 1) / Granularity() * Granularity();
  if (bytes == 0) return kInvalidValue;
  if (card.UsedBytes(CurrentDevice()) + rounded > kTotalBytes) return kOutOfMemory;
  const int file = ::memfd_create("allocation", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(rounded)) != 0) return kOutOfMemory;
  return MapWhole(card, file, rounded, false, address);
}
EXPORT int cuMemFree_v2(Address address) {
  BEGIN("cuMemFree");
  return UnmapWhole(card, address);
}
EXPORT int cuMemGetAddressRange_v2(Address* base, size_t* bytes, Address address) {
  BEGIN("cuMemGetAddressRange");
  const auto found = MappingOf(card, address);
  if (found == card.mappings.end()) return kInvalidValue;
  if (base != nullptr) *base = found->first;
  if (bytes != nullptr) *bytes = found->second.bytes;
  return kSuccess;
}
EXPORT int cuIpcGetMemHandle(IpcHandle* handle, Address address) {
  BEGIN("cuIpcGetMemHandle");
  const auto found = MappingOf(card, address);
  if (found == card.mappings.end()) return kInvalidValue;
  *handle = {::getpid(), card.allocations.at(found->second.handle).file, 0, {}};
  struct stat status;
  if (::fstat(handle->file, &status) != 0) return kInvalidValue;
  handle->inode = status.st_ino;
  return kSuccess;
}
EXPORT int cuIpcOpenMemHandle_v2(Address* address, IpcHandle handle, unsigned) {
  BEGIN("cuIpcOpenMemHandle");
  if (handle.process == ::getpid()) return kInvalidContext;
  const std::string path = "/proc/" + std::to_string(handle.process) + "/fd/" + std::to_string(handle.file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat status;
  if (file < 0) return kInvalidValue;
  if (::fstat(file, &status) != 0 || status.st_ino != handle.inode) {
    ::close(file);
    return kInvalidValue;
  }
  return MapWhole(card, file, static_cast<size_t>(status.st_size), true, address);
}
EXPORT int cuIpcCloseMemHandle(Address address) {
  BEGIN("cuIpcCloseMemHandle");
  return UnmapWhole(card, address);
}
