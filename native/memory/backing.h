// Backing: where the physical chunks of a device come from and how they are mapped, copied and counted. HostBacking uses
// anonymous memory of this process, CudaBacking the driver's virtual memory calls. Everything above is written once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/foreign_memory.h"  // ForeignHandle
#include "memory/progress.h"        // Operation

namespace tideline {

// One physical chunk: an address in the parking area (host) or an allocation handle (cuda).
struct Chunk {
  uint64_t id;
  uint64_t bytes;
};

inline uint64_t BytesOf(std::span<const Chunk> chunks) {
  uint64_t bytes = 0;
  for (const Chunk& chunk : chunks) bytes += chunk.bytes;
  return bytes;
}

// What the system says, as opposed to what we count.
struct SystemFigures {
  uint64_t context_bytes = 0;  // there before the first region
  uint64_t used_bytes = 0;
  uint64_t total_bytes = 0;
};

// Host memory is copied and pinned in pieces of this: large enough for full link speed, small enough to cancel and to show
// progress.
inline constexpr uint64_t kCopyPieceBytes = uint64_t{128} << 20;

// Thread-safe. Every operation that can fail does all or nothing.
class Backing {
 public:
  // The largest chunk is the smallest one, doubled any number of times.
  Backing(uint64_t chunk_bytes, uint64_t largest_chunk_bytes)
      : chunk_bytes_(chunk_bytes), largest_chunk_bytes_(largest_chunk_bytes) {}
  virtual ~Backing() = default;
  Backing(const Backing&) = delete;

  // The smallest chunk: a region's size is a multiple of it.
  uint64_t chunk_bytes() const { return chunk_bytes_; }
  // Sizes of the chunks that so many bytes are made of, largest first: as many of the largest as fit, and of each size
  // below one at most. A driver's calls cost per chunk and not per byte, and nobody takes more than asked for.
  std::vector<uint64_t> Split(uint64_t bytes) const {
    std::vector<uint64_t> sizes;
    for (uint64_t size = largest_chunk_bytes_; size >= chunk_bytes_ && bytes > 0; size /= 2) {
      for (; bytes >= size; bytes -= size) sizes.push_back(size);
    }
    return sizes;
  }
  virtual const std::string& description() const = 0;
  virtual bool is_host() const = 0;

  // Addresses without memory, at least 2 MiB aligned.
  virtual uintptr_t Reserve(uint64_t bytes) = 0;
  virtual void Unreserve(uintptr_t address, uint64_t bytes) noexcept = 0;

  // Physical memory is taken here, not on first touch. Errors: out_of_memory, cancelled, device_lost.
  virtual std::vector<Chunk> Create(std::span<const uint64_t> sizes, const Operation& operation) = 0;
  virtual void Destroy(std::span<const Chunk> chunks) noexcept = 0;

  // Chunks one behind another from `address` on, inside a reserved range; readable and writable afterwards.
  virtual void Map(uintptr_t address, std::span<const Chunk> chunks) = 0;
  // The exact reverse: the range is reserved again, the chunks keep their memory.
  virtual void Unmap(uintptr_t address, std::span<const Chunk> chunks) = 0;

  // Between mapped device addresses and host memory; fastest when the host side is pinned, in the same pieces. Cancelling
  // stops between pieces and leaves the target half written.
  virtual void CopyToHost(void* target, uintptr_t source, uint64_t bytes, const Operation& operation) = 0;
  virtual void CopyFromHost(uintptr_t target, const void* source, uint64_t bytes, const Operation& operation) = 0;
  virtual void CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes, const Operation& operation) = 0;
  // CopyToHost, Unmap and Destroy of all that is mapped from `address` on, the end of the one beside the beginning of the
  // others where a device can. False: the device was lost meanwhile, and both memory and contents are gone. When it throws,
  // nothing is changed.
  virtual bool Vacate(void* target, uintptr_t address, std::span<const Chunk> chunks, const Operation& operation) {
    CopyToHost(target, address, BytesOf(chunks), operation);
    Unmap(address, chunks);
    Destroy(chunks);
    return true;
  }
  // From another device's mapped memory, which passes through none of the host's. False, and nothing is copied, where no
  // link allows that. Errors: device_lost of either, cancelled.
  virtual bool CopyFromPeer(uintptr_t, Backing&, uintptr_t, uint64_t, const Operation&) { return false; }

  // Readies host memory that is there for copies at the link's speed; several threads may at once. What is pinned by one
  // call is unpinned by one, before the memory goes. Errors: out_of_memory, device_lost.
  virtual void Pin(void* first, uint64_t bytes) = 0;
  virtual void Unpin(void* first, uint64_t bytes) noexcept = 0;

  // Waits for all work on the device.
  virtual void Synchronize() = 0;

  // Cheap enough for 1000 calls a second. `host_backup_bytes` is what HostBuffers have; `capacity_bytes` the pool's.
  virtual SystemFigures ReadFigures(uint64_t capacity_bytes, uint64_t host_backup_bytes) = 0;
  // What could be created now, as far as the system tells.
  virtual uint64_t AvailableBytes() = 0;
  // What every call that can fail fails with since the device was lost: the same `device_lost`.
  virtual std::optional<std::string> Lost() const { return std::nullopt; }
  // Gives back what the device takes for itself. Nothing but destruction may follow.
  virtual void Close() noexcept {}

  // A file descriptor with which another process maps the chunk; the caller closes it. Errors: unsupported, device_lost.
  virtual int Export(const Chunk& chunk) = 0;
  // The same in every process, whatever number the device has there. Errors: unsupported, device_lost.
  virtual std::string Uuid() = 0;

  // Another process's allocation, mapped where it says; whoever opens it closes it. Errors: not_resident (it was freed, or
  // its process has ended), unsupported, out_of_memory, device_lost.
  struct ForeignRange {
    uintptr_t address;
    uint64_t bytes;
  };
  virtual ForeignRange OpenForeign(const ForeignHandle& handle) = 0;
  virtual void CloseForeign(uintptr_t address) noexcept = 0;

  // Who else holds the device's memory ("other process 1234 (python)"), for out-of-memory errors.
  virtual std::vector<Holder> OtherHolders() = 0;

 private:
  const uint64_t chunk_bytes_, largest_chunk_bytes_;
};

}  // namespace tideline
