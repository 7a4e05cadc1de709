// Backing: where the physical chunks of a device come from and how they are mapped, copied and counted. HostBacking uses
// anonymous memory of this process, CudaBacking the driver's virtual memory calls. Everything above is written once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/progress.h"  // Operation

namespace tideline {

// One physical chunk: an address in the parking area (host) or an allocation handle (cuda).
using Chunk = uint64_t;

// What the system says, as opposed to what we count.
struct SystemFigures {
  uint64_t context_bytes = 0;  // there before the first region
  uint64_t used_bytes = 0;
  uint64_t total_bytes = 0;
};

// Thread-safe. Every operation that can fail does all or nothing.
class Backing {
 public:
  explicit Backing(uint64_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}
  virtual ~Backing() = default;
  Backing(const Backing&) = delete;

  uint64_t chunk_bytes() const { return chunk_bytes_; }
  virtual const std::string& description() const = 0;
  virtual bool is_host() const = 0;

  // Addresses without memory, at least 2 MiB aligned.
  virtual uintptr_t Reserve(uint64_t bytes) = 0;
  virtual void Unreserve(uintptr_t address, uint64_t bytes) noexcept = 0;

  // Physical memory is taken here, not on first touch. Errors: out_of_memory, cancelled, device_lost.
  virtual std::vector<Chunk> Create(size_t count, const Operation& operation) = 0;
  virtual void Destroy(std::span<const Chunk> chunks) noexcept = 0;

  // Chunks one behind another from `address` on, inside a reserved range; readable and writable afterwards.
  virtual void Map(uintptr_t address, std::span<const Chunk> chunks) = 0;
  // The exact reverse: the range is reserved again, the chunks keep their memory.
  virtual void Unmap(uintptr_t address, std::span<const Chunk> chunks) = 0;

  // Between mapped device addresses and host memory; fastest when the host side is from AllocateHost. Cancelling stops
  // between pieces and leaves the target half written.
  virtual void CopyToHost(void* target, uintptr_t source, uint64_t bytes, const Operation& operation) = 0;
  virtual void CopyFromHost(uintptr_t target, const void* source, uint64_t bytes, const Operation& operation) = 0;
  virtual void CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes) = 0;
  // From another device's mapped memory, which passes through none of the host's. False, and nothing is copied, where no
  // link allows that. Errors: device_lost of either, cancelled.
  virtual bool CopyFromPeer(uintptr_t, Backing&, uintptr_t, uint64_t, const Operation&) { return false; }

  // Host memory for backups, already touched (and pinned for cuda). Errors: out_of_memory, cancelled.
  virtual void* AllocateHost(uint64_t bytes, const Operation& operation) = 0;
  virtual void FreeHost(void* buffer, uint64_t bytes) noexcept = 0;

  // Waits for all work on the device.
  virtual void Synchronize() = 0;

  // Cheap enough for 1000 calls a second. `host_backup_bytes` is what AllocateHost gave out; `capacity_bytes` the pool's.
  virtual SystemFigures ReadFigures(uint64_t capacity_bytes, uint64_t host_backup_bytes) = 0;
  // What could be created now, as far as the system tells.
  virtual uint64_t AvailableBytes() = 0;
  // What was said when the device was lost: every call that can fail then fails with the same `device_lost`.
  virtual std::optional<std::string> Lost() const { return std::nullopt; }
  // Gives back what the device takes for itself. Nothing but destruction may follow.
  virtual void Close() noexcept {}

  // A file descriptor with which another process maps the chunk; the caller closes it. Errors: unsupported, device_lost.
  virtual int Export(Chunk chunk) = 0;
  // The same in every process, whatever number the device has there. Errors: unsupported, device_lost.
  virtual std::string Uuid() = 0;

  // Who else holds the device's memory ("other process 1234 (python)"), for out-of-memory errors.
  virtual std::vector<Holder> OtherHolders() = 0;

 private:
  const uint64_t chunk_bytes_;
};

}  // namespace tideline
