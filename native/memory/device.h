// Device: one card (or the host, which plays a small one): its Backing, its PagePool under a capacity, and the regions
// that draw from it. It knows who holds what, so an out-of-memory error can say so.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "memory/error.h"           // Holder
#include "memory/foreign_memory.h"  // ForeignHandle, ForeignMemory
#include "memory/region.h"          // Region, RegionObservation

namespace tideline {

struct DeviceObservation {
  std::string name, description;
  std::string lost;  // what work on it is refused with since it was lost; empty: it is not
  uint64_t capacity_bytes = 0, chunk_bytes = 0, committed_bytes = 0, held_bytes = 0, free_bytes = 0;
  uint64_t context_bytes = 0, used_bytes = 0, total_bytes = 0, host_backup_bytes = 0;
  std::vector<RegionObservation> regions;
};

// One look at a device, for the sampling thread: cheap, and never waits for a region that is being copied.
struct DeviceSample {
  struct Consumer {
    std::string name;
    uint64_t reserved_bytes = 0, committed_bytes = 0, used_bytes = 0;
  };
  uint64_t used_bytes = 0, total_bytes = 0, context_bytes = 0, host_backup_bytes = 0, held_bytes = 0;
  // In order of first creation; regions of one consumer are summed.
  std::vector<Consumer> consumers;
};

// Chunks of a device: mapped by regions, and in the pool, mapped by nobody.
struct DeviceUsage {
  uint64_t committed_bytes = 0, held_bytes = 0;
};

struct DeviceProbe {
  std::string name, description;
  uint64_t total_bytes = 0, free_bytes = 0;
  std::string problem;         // why it cannot be used; empty when it can
  std::string driver_version;  // empty for the host
};

// How bytes came from one device to another: in one copy, which was one from GPU to GPU (`peer`), or through host memory.
enum class CopyRoute { kDirect, kPeer, kStaged };

// A device can be lost: its driver answers nothing any more, and what it held is gone. Whatever needs the driver is
// then refused with `device_lost`, always with the same words; what gives back (closing regions, trimming, closing the
// device) still works.
class Device {
 public:
  virtual ~Device() = default;

  // Reserves addresses only; the region starts released. `bytes` is rounded up to whole chunks.
  virtual std::shared_ptr<Region> CreateRegion(const std::string& consumer, const std::string& tag, uint64_t bytes) = 0;
  // Region::PrepareBackup of a consumer's regions, one after another. Error not_found without any.
  virtual Receipt PrepareBackups(const std::string& consumer, const Operation& operation = {}) = 0;
  virtual DeviceObservation Observe() const = 0;
  // What is taken of the capacity; costs next to nothing.
  virtual DeviceUsage Usage() const = 0;
  // Who has taken how much of the capacity, regions of one consumer summed; what the pool holds is the last one's.
  virtual std::vector<Holder> Holders() const = 0;
  // Overwrites `sample`, reusing its memory.
  virtual void Sample(DeviceSample& sample) const = 0;
  // Error bad_argument below what is committed now; held chunks that no longer fit go back to the device.
  virtual void SetCapacity(uint64_t bytes) = 0;
  // Gives held chunks back to the device; returns their bytes.
  virtual uint64_t Trim() = 0;
  // Gives back what the pool holds, and the device itself: nothing but destruction may follow. Error `busy` while regions
  // are open.
  virtual void Close() = 0;
  // Waits for all work on the device: called before anything is unmapped.
  virtual void Synchronize() = 0;
  // Copies from a resident address of a device, which may be this one, to one of this device. Cancelling leaves the target
  // half written.
  virtual CopyRoute CopyFrom(void* target, Device& source_device, const void* source, uint64_t bytes,
                             const Operation& operation = {}) = 0;
  // The device's own, the same in every process. Errors: unsupported (host), device_lost.
  virtual std::string Uuid() = 0;
  // Another process's allocation on this device. Errors: not_resident (it was freed, or its process has ended), unsupported
  // (host), out_of_memory, device_lost.
  virtual std::unique_ptr<const ForeignMemory> OpenForeign(const ForeignHandle& handle) = 0;
  // "host" or "cuda": compute is written for host memory only, and asks.
  virtual bool is_host() const = 0;
  virtual const std::string& name() const = 0;
  virtual uint64_t chunk_bytes() const = 0;
};

// "host" or "cuda:N". chunk_bytes 0: the backing's default. Errors: device_unavailable, bad_argument.
std::shared_ptr<Device> OpenDevice(const std::string& name, uint64_t capacity_bytes, uint64_t chunk_bytes);

// The host, then one probe per CUDA device, or one named "cuda" that says why there is none. Never throws.
std::vector<DeviceProbe> ProbeDevices();

}  // namespace tideline
