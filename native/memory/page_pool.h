// PagePool: the physical chunks of one device under a byte budget. A chunk is mapped by exactly one region (committed),
// parked here for the next one (held), or not there at all. Taking is all or nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/backing.h"  // Backing, Chunk
#include "memory/region.h"   // Destination

namespace tideline {

class PagePool {
 public:
  // `holders` says who has committed what, for out-of-memory errors; called without the pool's lock.
  PagePool(Backing& backing, uint64_t capacity_bytes, std::function<std::vector<Holder>()> holders);
  ~PagePool();

  // Chunks of one region, held ones first.
  struct Taken {
    std::vector<Chunk> chunks;
    size_t from_held = 0;
  };
  // Errors: out_of_memory with figures and holders, cancelled, device_lost; nothing is taken then.
  Taken Take(size_t count, const Operation& operation);
  // Takes back what Take gave, as it was before: for rolling back.
  void Undo(Taken taken) noexcept;
  // Takes back a region's chunks.
  void Give(std::vector<Chunk> chunks, Destination destination) noexcept;

  // Gives held chunks back to the device; returns their bytes.
  uint64_t Trim();
  // Error bad_argument below what is committed. Held chunks that no longer fit go back to the device.
  void SetCapacity(uint64_t bytes);

  // Relaxed reads: exact when nothing is going on.
  uint64_t capacity_bytes() const { return capacity_bytes_.load(std::memory_order_relaxed); }
  uint64_t committed_bytes() const { return committed_bytes_.load(std::memory_order_relaxed); }
  uint64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }
  uint64_t free_bytes() const;

 private:
  [[noreturn]] void ThrowOutOfMemory(uint64_t requested_bytes, const Error* cause) const;
  // Keeps at most `bytes` of held chunks; destroys the rest and returns its bytes.
  uint64_t Shrink(std::unique_lock<std::mutex>& lock, uint64_t bytes);

  Backing& backing_;
  const std::function<std::vector<Holder>()> holders_;
  std::mutex mutex_;  // guards held_ and changes of the figures
  std::vector<Chunk> held_;
  std::atomic<uint64_t> capacity_bytes_, committed_bytes_{0}, held_bytes_{0};
};

}  // namespace tideline
