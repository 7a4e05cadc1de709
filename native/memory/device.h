// Device: one card (or the host, which plays a small one): its Backing, its PagePool under a capacity, and the regions
// that draw from it. It knows who holds what, so an out-of-memory error can say so.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "memory/region.h"  // Region, RegionObservation

namespace tideline {

struct DeviceObservation {
  std::string name, description;
  uint64_t capacity_bytes = 0, chunk_bytes = 0, committed_bytes = 0, held_bytes = 0, free_bytes = 0;
  uint64_t context_bytes = 0, used_bytes = 0, total_bytes = 0, host_backup_bytes = 0;
  std::vector<RegionObservation> regions;
};

class Device {
 public:
  virtual ~Device() = default;

  // Reserves addresses only; the region starts released. `bytes` is rounded up to whole chunks.
  virtual std::shared_ptr<Region> CreateRegion(const std::string& consumer, const std::string& tag, uint64_t bytes) = 0;
  virtual DeviceObservation Observe() const = 0;
  virtual void SetCapacity(uint64_t bytes) = 0;
  virtual uint64_t Trim() = 0;
  // Waits for all work on the device: called before anything is unmapped.
  virtual void Synchronize() = 0;
  // Copies between two resident addresses of this device.
  virtual void CopyOnDevice(void* target, const void* source, uint64_t bytes) = 0;
  // "host" or "cuda": compute is written for host memory only, and asks.
  virtual bool is_host() const = 0;
  virtual const std::string& name() const = 0;
};

// "host" or "cuda:N". chunk_bytes 0: the backing's default. Errors: device_unavailable, bad_argument.
std::shared_ptr<Device> OpenDevice(const std::string& name, uint64_t capacity_bytes, uint64_t chunk_bytes);

}  // namespace tideline
