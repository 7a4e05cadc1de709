// PagePool: the physical chunks of one device under a byte budget. A chunk is mapped by exactly one region (committed),
// parked here for the next one (held), or not there at all. Taking is all or nothing. A region gets chunks of exactly the
// sizes that it asks for: held ones where there are, fresh ones else, and held ones of other sizes give way where there is
// no room for those.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "memory/backing.h"  // Backing, Chunk
#include "memory/region.h"   // Destination

namespace tideline {

class PagePool {
 public:
  // `holders` says who has committed what, for out-of-memory errors; called without the pool's lock.
  PagePool(Backing& backing, uint64_t capacity_bytes, std::function<std::vector<Holder>()> holders);
  ~PagePool();

  // Chunks of one region.
  struct Taken {
    std::vector<Chunk> held, fresh;
    // In the order in which their sizes were asked for.
    std::vector<Chunk> chunks() const;
  };
  // Sizes from the largest to the smallest. Errors: out_of_memory with figures and holders, cancelled, device_lost; nothing
  // is taken then, but what gave way is gone.
  Taken Take(std::span<const uint64_t> sizes, const Operation& operation);
  // Takes back what Take gave, as it was before: for rolling back.
  void Undo(Taken taken) noexcept;
  // Takes back a region's chunks.
  void Give(std::vector<Chunk> chunks, Destination destination) noexcept;

  // A region's chunks which the device has back already.
  void Forget(std::span<const Chunk> chunks) noexcept;

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
  // With the lock: takes so many bytes, or a little more, or all, out of what is held, from the smallest chunks to the
  // largest. They are the caller's to destroy without the lock.
  std::vector<Chunk> Evict(uint64_t bytes);
  // With the lock: puts them before all others of their size.
  void HoldAgain(std::span<const Chunk> chunks);
  std::vector<Chunk> Create(std::span<const uint64_t> sizes, const Operation& operation);

  Backing& backing_;
  const std::function<std::vector<Holder>()> holders_;
  std::mutex mutex_;  // guards held_ and changes of the figures
  std::map<uint64_t, std::deque<Chunk>> held_;  // by size, the oldest first
  std::atomic<uint64_t> capacity_bytes_, committed_bytes_{0}, held_bytes_{0};
};

}  // namespace tideline
