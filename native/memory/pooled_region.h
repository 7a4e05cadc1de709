// PooledRegion: the Region of every device. Its states and its rollbacks are here; how memory is made, mapped and copied is
// the Backing's, and what is kept outside the device RegionBackup's.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "memory/device.h"         // DeviceSample
#include "memory/pooled_device.h"  // PooledDevice
#include "memory/region.h"         // Region
#include "memory/region_backup.h"  // RegionBackup

namespace tideline {

class PooledRegion final : public Region, public std::enable_shared_from_this<PooledRegion> {
 public:
  PooledRegion(std::shared_ptr<PooledDevice> device, std::string consumer, std::string tag, uint64_t bytes);
  ~PooledRegion() override;

  Receipt Release(const ReleaseOptions& options, const Operation& operation) override;
  Receipt Resume(const Operation& operation) override;
  Receipt PrepareBackup(const Operation& operation) override;
  Receipt TakeOnHost(const Operation& operation) override;
  void* MutableData() override;
  const void* Data() const override;
  void MarkWritten() override;
  void MarkUndefined() override;
  void* HostData() override;
  void MarkHostWritten() override;
  void SetUsedBytes(uint64_t bytes) override { used_bytes_.store(bytes, std::memory_order_relaxed); }
  void SetSharedWith(const std::string& consumer) override;
  void BeginLoan(const std::string& borrower) override;
  void EndLoan(const std::string& borrower) noexcept override;
  void RefuseWhileLent(const char* action) const override;
  int ExportChunk(size_t index) const override { return device_->backing().Export(chunks_.at(index)); }
  std::vector<uint64_t> chunk_sizes() const override { return device_->backing().Split(reserved_bytes_); }
  uint64_t reserved_bytes() const override { return reserved_bytes_; }
  const std::string& consumer() const override { return consumer_; }
  RegionObservation Observe() const override;
  Device& device() const override;
  void CopyIn(uint64_t offset, const void* source, uint64_t bytes) override;
  void CopyOut(uint64_t offset, void* target, uint64_t bytes) const override;
  void Fill(uint64_t seed) override;
  uint32_t Checksum() const override;
  void Close() override;

  // Adds this region to its consumer's row.
  void AddTo(DeviceSample::Consumer& row) const;
  uint64_t committed_bytes() const { return resident() ? reserved_bytes_ : 0; }

 private:
  bool resident() const { return residency_.load(std::memory_order_acquire) == Residency::kResident; }
  bool defined() const { return contents_.load(std::memory_order_acquire) == Contents::kDefined; }
  uint64_t used_bytes() const;

  void CheckOpen() const;
  void RefuseBorrowed(const char* action) const;
  // Takes the memory out of the address range, or what is left of that when the device is lost.
  void UnmapForGood(std::span<const Chunk> chunks);
  void CheckResident() const;
  void CheckRange(uint64_t offset, uint64_t bytes) const;
  // To a fresh or clean backup; returns the bytes copied. The memory may be back at the device then, and there are no chunks.
  uint64_t BackUp(const ReleaseOptions& options, const Operation& operation);
  // To the host, where all of the host's memory is there already: the device has its memory back almost as soon as it is
  // copied.
  void Vacate(HostBuffer& buffer, const Operation& operation);
  // Contents become undefined, backups are dropped.
  void ForgetContents();
  std::string BackupPath(const std::string& directory) const;

  const std::shared_ptr<PooledDevice> device_;
  const std::string consumer_, tag_;
  const uint64_t reserved_bytes_;
  const uintptr_t address_;

  // Serialises operations; held through copies, so observers must do without it.
  mutable std::mutex operation_mutex_;
  bool closed_ = false;
  std::vector<Chunk> chunks_;  // mapped now, in order of address
  std::vector<std::string> borrowers_;
  RegionBackup backup_;

  // Read by anybody at any time.
  std::atomic<Residency> residency_{Residency::kReleased};
  std::atomic<Contents> contents_{Contents::kUndefined};
  std::atomic<uint64_t> version_{0};  // counts up with every change of the contents
  std::atomic<uint64_t> used_bytes_;
  // What it has of the device already while it is being resumed, and still while it is being released: for the
  // timeline, where it would be unaccounted otherwise.
  std::atomic<uint64_t> transit_bytes_{0};
  mutable std::mutex observed_mutex_;  // held for a copy of this only
  std::string shared_with_;
};

}  // namespace tideline
