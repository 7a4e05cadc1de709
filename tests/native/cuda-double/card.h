// What the double's calls share: the cards' state in this process, their board, and how a call begins. There is one card, or as
// many as TIDELINE_DOUBLE_DEVICES says; with TIDELINE_DOUBLE_PEERS=0 none can reach another's memory.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

#include "board.h"  // Board, ProcessCounts

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace cuda_double {

enum Result : int { kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidDevice = 101, kInvalidContext = 201 };
using Address = unsigned long long;
using Handle = unsigned long long;

constexpr size_t kTotalBytes = size_t{1} << 30;
constexpr size_t kContextBytes = size_t{64} << 20;
// How addresses without memory are mapped.
constexpr int kNoAccess = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// Chunks are memory files: they can be mapped twice, and their descriptors passed to other processes.
struct Allocation {
  int device;
  int file;
  size_t bytes;
  int references;
  bool exportable;
  bool imported;  // counted by the process that made it
};
struct Mapping {
  size_t bytes;
  Handle handle;
  bool access = false;
  // A bit for each other card that may use it.
  unsigned admitted = 0;
  // A copy from it or to it was begun and not awaited yet, as far as anybody can know.
  bool busy = false;
};

// In whose context the addresses were asked for.
struct Reservation {
  size_t bytes;
  int device;
};

// Host memory that the driver was told to pin.
struct Pinned {
  size_t bytes;
  int device;
};

struct Card {
  std::mutex mutex;
  std::map<Handle, Allocation> allocations;
  std::map<Address, Mapping> mappings;
  std::map<Address, Reservation> reservations;
  std::map<Address, Pinned> pinned;
  // Of each device: what its context takes along when it is lost.
  int64_t streams[kMostDevices] = {};
  Handle next_handle = 1;

  static Card& Get();
  // Of this process.
  ProcessCounts& counts();
  // All processes' on one card, contexts included.
  size_t UsedBytes(int device);
  // On which card an address is mapped, or -1.
  int DeviceOf(Address address) const;
  // Whether the addresses are partly pinned, or pinned by more than one call: no copy may reach from one into the next.
  bool CrossesPinned(Address address, size_t bytes) const;
  // Counts a copy that a card makes of another's memory where it may not use all of that.
  void CopiesFromOther(int device, Address address, size_t bytes) const;
  // Nobody may unmap what lies there until copies are awaited.
  void BeginCopy(Address address, size_t bytes);
  void AwaitCopies();
  void Drop(Handle handle);
  // What a driver does with the memory of a lost context once that is released.
  void Forget(int device);
  void Unmap(std::map<Address, Mapping>::iterator mapping);
};

// With TIDELINE_DOUBLE_GUARDED set, the processor faults on device memory, as it does on a real card's: it is reached by the
// driver's copies alone.
bool Guarded();
// Lets one of those copies in, for a scope. With the card's lock held.
class Opened {
 public:
  Opened(const Card& card, Address address, size_t bytes);
  ~Opened();
  Opened(const Opened&) = delete;

 private:
  Address first_ = 0;
  size_t bytes_ = 0;  // 0: there is nothing to open
};

int Devices();
// Whether a card can use another's memory, or its own.
bool CanReach(int device, int other);
size_t Granularity();
// A device's context, and what any stream of it is; the way back gives -1 for anything else.
const void* ContextOf(int device);
int DeviceOfContext(const void* context);
const void* StreamOf(int device);

// The result that the board wants for this call on a device, or 0: BEGIN of every call.
int Injected(const char* call, int device);
// The devices whose contexts are current in this thread, the last one on top; and the last that was asked for.
extern thread_local std::vector<int> current_devices;
extern thread_local int asked_device;
inline int CurrentDevice() { return current_devices.empty() ? asked_device : current_devices.back(); }

}  // namespace cuda_double

#define BEGIN(call)                                                                  \
  ::cuda_double::Card& card = ::cuda_double::Card::Get();                            \
  const std::lock_guard lock(card.mutex);                                            \
  if (const int injected = ::cuda_double::Injected(call, ::cuda_double::CurrentDevice())) return injected; \
  if (::cuda_double::current_devices.empty()) return ::cuda_double::kInvalidContext
