#include "card.h"

#include "capture.h"  // capture

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

namespace cuda_double {

thread_local Graph* capture = nullptr;

thread_local std::vector<int> current_devices;
thread_local int asked_device = 0;

namespace {

Board& board() {
  static Board* const page = OpenBoard();
  return *page;
}

}  // namespace

bool Guarded() {
  static const bool guarded = std::getenv("TIDELINE_DOUBLE_GUARDED") != nullptr;
  return guarded;
}

Opened::Opened(const Card& card, Address address, size_t bytes) {
  const auto after = card.mappings.upper_bound(address);
  if (!Guarded() || bytes == 0 || after == card.mappings.begin()) return;
  const auto& [start, mapping] = *std::prev(after);
  if (address >= start + mapping.bytes || !mapping.access) return;
  constexpr Address kPageBytes = 4096;
  first_ = address / kPageBytes * kPageBytes;
  bytes_ = address + bytes - first_;
  ::mprotect(reinterpret_cast<void*>(first_), bytes_, PROT_READ | PROT_WRITE);
}

Opened::~Opened() {
  if (bytes_ > 0) ::mprotect(reinterpret_cast<void*>(first_), bytes_, PROT_NONE);
}

Card& Card::Get() {
  static Card card;
  return card;
}

ProcessCounts& Card::counts() {
  static ProcessCounts* const mine = [] {
    ProcessCounts* free = nullptr;
    for (ProcessCounts& process : board().processes) {
      if (!IsAlive(process)) free = &process;
    }
    if (!free) std::abort();  // more processes than any test has
    *free = {};
    free->pid = ::getpid();
    return free;
  }();
  return *mine;
}

size_t Card::UsedBytes(int device) {
  int64_t used = 0;
  for (const ProcessCounts& process : board().processes) {
    if (!IsAlive(process)) continue;
    used += process.device_bytes[device];
    if (process.device_contexts[device] > 0) used += static_cast<int64_t>(kContextBytes);
  }
  return static_cast<size_t>(used);
}

void Card::Drop(Handle handle) {
  Allocation& allocation = allocations.at(handle);
  if (--allocation.references > 0) return;
  ::close(allocation.file);
  --counts().allocations;
  if (!allocation.imported) {
    counts().bytes -= static_cast<int64_t>(allocation.bytes);
    counts().device_bytes[allocation.device] -= static_cast<int64_t>(allocation.bytes);
  }
  allocations.erase(handle);
}

int Card::DeviceOf(Address address) const {
  const auto after = mappings.upper_bound(address);
  if (after == mappings.begin()) return -1;
  const auto& [start, mapping] = *std::prev(after);
  return address < start + mapping.bytes ? allocations.at(mapping.handle).device : -1;
}

void Card::CopiesFromOther(int device, Address address, size_t bytes) const {
  for (auto at = std::prev(mappings.upper_bound(address)); at != mappings.end() && at->first < address + bytes; ++at) {
    if (at->second.admitted & 1u << device) continue;
    ++board().unadmitted_copies;
    return;
  }
}

void Card::Unmap(std::map<Address, Mapping>::iterator mapping) {
  const auto [address, mapped] = *mapping;
  ::mmap(reinterpret_cast<void*>(address), mapped.bytes, PROT_NONE, kNoAccess | MAP_FIXED, -1, 0);
  Drop(mapped.handle);
  mappings.erase(mapping);
  --counts().mappings;
}

void Card::BeginCopy(Address address, size_t bytes) {
  for (auto& [first, mapping] : mappings) {
    if (first < address + bytes && address < first + mapping.bytes) mapping.busy = true;
  }
}

void Card::AwaitCopies() {
  for (auto& [first, mapping] : mappings) mapping.busy = false;
}

bool Card::CrossesPinned(Address address, size_t bytes) const {
  const auto after = pinned.upper_bound(address);
  if (after != pinned.end() && after->first < address + bytes) return true;
  if (after == pinned.begin()) return false;
  const auto& [first, range] = *std::prev(after);
  const Address end = first + range.bytes;
  return address < end && address + bytes > end;
}

void Card::Forget(int device) {
  for (auto mapping = mappings.begin(); mapping != mappings.end();) {
    const auto next = std::next(mapping);
    if (allocations.at(mapping->second.handle).device == device) Unmap(mapping);
    mapping = next;
  }
  for (auto allocation = allocations.begin(); allocation != allocations.end();) {
    const auto next = std::next(allocation);
    if (allocation->second.device == device) Drop(allocation->first);
    allocation = next;
  }
  for (auto reservation = reservations.begin(); reservation != reservations.end();) {
    const auto next = std::next(reservation);
    if (reservation->second.device == device) {
      ::munmap(reinterpret_cast<void*>(reservation->first), reservation->second.bytes);
      reservations.erase(reservation);
      --counts().reservations;
    }
    reservation = next;
  }
  counts().streams -= std::exchange(streams[device], 0);
  counts().registered_buffers -= static_cast<int64_t>(
      std::erase_if(pinned, [device](const auto& one) { return one.second.device == device; }));
  counts().lost[device] = 0;
}

int Devices() {
  const char* wanted = std::getenv("TIDELINE_DOUBLE_DEVICES");
  return wanted ? std::clamp(std::atoi(wanted), 1, kMostDevices) : 1;
}

namespace {

constexpr char kContexts[kMostDevices] = {}, kStreams[kMostDevices] = {};

}  // namespace

// A real card's is 2 MiB.
size_t Granularity() {
  static const char* const wanted = std::getenv("TIDELINE_DOUBLE_GRANULARITY");
  static const size_t bytes = wanted ? std::strtoull(wanted, nullptr, 10) : size_t{2} << 20;
  return bytes;
}

const void* ContextOf(int device) { return &kContexts[device]; }
const void* StreamOf(int device) { return &kStreams[device]; }

int DeviceOfContext(const void* context) {
  for (int device = 0; device < Devices(); ++device) {
    if (context == ContextOf(device)) return device;
  }
  return -1;
}

int Injected(const char* call, int device) {
  ProcessCounts& counts = Card::Get().counts();
  if (counts.lost[device] != 0) return static_cast<int>(counts.lost[device]);
  const bool named = board().call[0] != '\0';
  if (named ? std::strcmp(board().call, call) != 0 : std::strcmp(call, "cuMemGetInfo") == 0) return 0;
  ++board().calls;
  if (board().countdown == 0 || --board().countdown > 0) return 0;
  const auto result = static_cast<int>(board().result);
  // It is a context that is lost: the attempt to make the first one leaves none behind.
  if (board().sticky && counts.device_contexts[device] > 0) counts.lost[device] = result;
  return result;
}

}  // namespace cuda_double
