// What the double's calls share: the card's state in this process, its board, and how a call begins.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include "board.h"  // Board, ProcessCounts

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace cuda_double {

enum Result : int { kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidContext = 201 };
using Address = unsigned long long;
using Handle = unsigned long long;

constexpr size_t kGranularity = size_t{2} << 20;
constexpr size_t kTotalBytes = size_t{1} << 30;
constexpr size_t kContextBytes = size_t{64} << 20;

// Chunks are memory files: they can be mapped twice, and their descriptors passed to other processes.
struct Allocation {
  int file;
  size_t bytes;
  int references;
  bool exportable;
  bool imported;  // counted by the process that made it
};
struct Mapping {
  size_t bytes;
  Handle handle;
  bool access;
};

struct Card {
  std::mutex mutex;
  std::map<Handle, Allocation> allocations;
  std::map<Address, Mapping> mappings;
  std::map<Address, size_t> reservations;
  Handle next_handle = 1;

  static Card& Get();
  // Of this process.
  ProcessCounts& counts();
  // All processes' on the card, contexts included.
  size_t UsedBytes();
  void Drop(Handle handle);
  // What a driver does with the memory of a lost context once that is released.
  void Forget();
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

// The result that the board wants for this call, or 0: BEGIN of every call.
int Injected(const char* call);
// Calls that need a context check that this thread has one.
extern thread_local int current_contexts;

}  // namespace cuda_double

#define BEGIN(call)                                                                  \
  ::cuda_double::Card& card = ::cuda_double::Card::Get();                            \
  const std::lock_guard lock(card.mutex);                                            \
  if (const int injected = ::cuda_double::Injected(call)) return injected;           \
  if (::cuda_double::current_contexts == 0) return ::cuda_double::kInvalidContext
