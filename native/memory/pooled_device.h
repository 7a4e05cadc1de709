// PooledDevice: the Device of every kind: a Backing, its PagePool and the list of open regions.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory/backing.h"    // Backing
#include "memory/device.h"     // Device
#include "memory/page_pool.h"  // PagePool

namespace tideline {

class PooledRegion;

class PooledDevice final : public Device, public std::enable_shared_from_this<PooledDevice> {
 public:
  PooledDevice(std::string name, std::unique_ptr<Backing> backing, uint64_t capacity_bytes);

  std::shared_ptr<Region> CreateRegion(const std::string& consumer, const std::string& tag, uint64_t bytes) override;
  Receipt PrepareBackups(const std::string& consumer, const Operation& operation) override;
  DeviceObservation Observe() const override;
  DeviceUsage Usage() const override { return {pool_.committed_bytes(), pool_.held_bytes()}; }
  std::vector<Holder> Holders() const override;
  void Sample(DeviceSample& sample) const override;
  void SetCapacity(uint64_t bytes) override { pool_.SetCapacity(bytes); }
  uint64_t Trim() override { return pool_.Trim(); }
  void Close() override;
  void Synchronize() override { backing_->Synchronize(); }
  CopyRoute CopyFrom(void* target, Device& source_device, const void* source, uint64_t bytes,
                     const Operation& operation) override;
  std::string Uuid() override { return backing_->Uuid(); }
  std::unique_ptr<const ForeignMemory> OpenForeign(const ForeignHandle& handle) override;
  bool is_host() const override { return backing_->is_host(); }
  const std::string& name() const override { return name_; }
  uint64_t chunk_bytes() const override { return backing_->chunk_bytes(); }

  // For regions.
  Backing& backing() { return *backing_; }
  PagePool& pool() { return pool_; }
  std::atomic<uint64_t>& host_backup_bytes() { return host_backup_bytes_; }
  void Unregister(const PooledRegion& region);

 private:
  std::vector<Holder> RegionHolders() const;

  const std::string name_;
  const std::unique_ptr<Backing> backing_;
  PagePool pool_;
  std::atomic<uint64_t> host_backup_bytes_{0};
  // Held only to walk the list, never while memory is made or copied: the sampling thread takes it too.
  mutable std::mutex regions_mutex_;
  std::vector<PooledRegion*> regions_;
};

}  // namespace tideline
