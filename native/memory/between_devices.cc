#include "memory/between_devices.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>

#include "memory/host_buffer.h"  // HostBuffer

namespace tideline {
namespace {

// Large enough for full link speed, small enough to cancel and to be had.
constexpr uint64_t kStagedBytes = uint64_t{32} << 20;

// One piece leaves its device while the piece before it enters the other.
void CopyStaged(Backing& to, uintptr_t target, Backing& from, uintptr_t source, uint64_t bytes, const Operation& operation) {
  const uint64_t piece_bytes = std::min(kStagedBytes, bytes);
  std::atomic<uint64_t> staged_bytes{0};  // no backup: nobody asks
  HostBuffer first(to, staged_bytes, piece_bytes), second(to, staged_bytes, piece_bytes);
  for (HostBuffer* stage : {&first, &second}) stage->Take({.cancellation = operation.cancellation, .on_progress = {}});
  const std::array<void*, 2> stages{first.data(), second.data()};
  // After the stages: an entry that is under way when something fails is waited for.
  std::array<std::future<void>, 2> entries;
  uint64_t offset = 0;
  for (size_t turn = 0; offset < bytes; turn = 1 - turn) {
    if (entries[turn].valid()) entries[turn].get();
    operation.Step(offset, bytes);
    const uint64_t piece = std::min(piece_bytes, bytes - offset);
    from.CopyToHost(stages[turn], source + offset, piece, {});
    entries[turn] = std::async(std::launch::async, [&to, at = target + offset, stage = stages[turn], piece] {
      to.CopyFromHost(at, stage, piece, {});
    });
    offset += piece;
  }
  for (std::future<void>& entry : entries) {
    if (entry.valid()) entry.get();
  }
  operation.Step(bytes, bytes);
}

}  // namespace

CopyRoute CopyBetween(Backing& to, uintptr_t target, Backing& from, uintptr_t source, uint64_t bytes,
                      const Operation& operation) {
  if (&to == &from) {
    to.CopyOnDevice(target, source, bytes, operation);
    return CopyRoute::kDirect;
  }
  if (from.is_host()) {
    to.CopyFromHost(target, reinterpret_cast<const void*>(source), bytes, operation);
    return CopyRoute::kDirect;
  }
  if (to.is_host()) {
    from.CopyToHost(reinterpret_cast<void*>(target), source, bytes, operation);
    return CopyRoute::kDirect;
  }
  if (to.CopyFromPeer(target, from, source, bytes, operation)) return CopyRoute::kPeer;
  CopyStaged(to, target, from, source, bytes, operation);
  return CopyRoute::kStaged;
}

}  // namespace tideline
