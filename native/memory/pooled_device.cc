// Making regions, and looking at all of them at once.
#include "memory/pooled_device.h"

#include <algorithm>

#include "memory/between_devices.h"  // CopyBetween
#include "memory/pooled_region.h"    // PooledRegion

namespace tideline {
namespace {

class PooledForeignMemory final : public ForeignMemory {
 public:
  PooledForeignMemory(std::shared_ptr<PooledDevice> device, const ForeignHandle& handle)
      : device_(std::move(device)), range_(device_->backing().OpenForeign(handle)) {}
  ~PooledForeignMemory() override { device_->backing().CloseForeign(range_.address); }
  PooledForeignMemory(const PooledForeignMemory&) = delete;

  uint64_t bytes() const override { return range_.bytes; }
  void CopyTo(void* target, uint64_t offset, uint64_t bytes) const override {
    device_->CopyFrom(target, *device_, reinterpret_cast<const void*>(range_.address + offset), bytes, {});
  }

 private:
  const std::shared_ptr<PooledDevice> device_;
  const Backing::ForeignRange range_;
};

}  // namespace

PooledDevice::PooledDevice(std::string name, std::unique_ptr<Backing> backing, uint64_t capacity_bytes)
    : name_(std::move(name)),
      backing_(std::move(backing)),
      pool_(*backing_, capacity_bytes, [this] { return RegionHolders(); }) {}

std::shared_ptr<Region> PooledDevice::CreateRegion(const std::string& consumer, const std::string& tag, uint64_t bytes) {
  const uint64_t chunk_bytes = backing_->chunk_bytes();
  // Half of the address space of a process: more cannot be reserved, and below it rounding cannot overflow.
  constexpr uint64_t kMostBytes = uint64_t{1} << 46;
  if (bytes == 0 || bytes > kMostBytes) {
    throw Error("bad_argument", "a region has between 1 byte and 64 TiB, not " + std::to_string(bytes)).WithField("bytes");
  }
  const uint64_t rounded = (bytes + chunk_bytes - 1) / chunk_bytes * chunk_bytes;
  auto region = std::make_shared<PooledRegion>(shared_from_this(), consumer, tag, rounded);
  const std::lock_guard lock(regions_mutex_);
  regions_.push_back(region.get());
  return region;
}

Receipt PooledDevice::PrepareBackups(const std::string& consumer, const Operation& operation) {
  std::vector<std::shared_ptr<PooledRegion>> regions;
  {
    const std::lock_guard lock(regions_mutex_);
    for (PooledRegion* region : regions_) {
      // One that is being destroyed is still in the list, and nobody's any more.
      auto shared = region->consumer() == consumer ? region->weak_from_this().lock() : nullptr;
      if (shared) regions.push_back(std::move(shared));
    }
  }
  if (regions.empty()) throw Error("not_found", name_ + " has no regions of " + consumer);
  Receipt all{.action = "prepare", .consumer = consumer, .method = "host"};
  for (const std::shared_ptr<PooledRegion>& region : regions) {
    const Receipt receipt = region->PrepareBackup(operation);
    all.bytes_prepared += receipt.bytes_prepared;
    all.milliseconds += receipt.milliseconds;
  }
  return all;
}

void PooledDevice::Unregister(const PooledRegion& region) {
  const std::lock_guard lock(regions_mutex_);
  std::erase(regions_, &region);
}

void PooledDevice::Close() {
  {
    const std::lock_guard lock(regions_mutex_);
    if (!regions_.empty()) {
      throw Error("busy", name_ + " has " + std::to_string(regions_.size()) + " open regions, " +
                              regions_.front()->consumer() + " among them",
                  "close them first");
    }
  }
  pool_.Trim();
  backing_->Close();
}

CopyRoute PooledDevice::CopyFrom(void* target, Device& source_device, const void* source, uint64_t bytes,
                                 const Operation& operation) {
  return CopyBetween(*backing_, reinterpret_cast<uintptr_t>(target), static_cast<PooledDevice&>(source_device).backing(),
                     reinterpret_cast<uintptr_t>(source), bytes, operation);
}

std::unique_ptr<const ForeignMemory> PooledDevice::OpenForeign(const ForeignHandle& handle) {
  return std::make_unique<const PooledForeignMemory>(shared_from_this(), handle);
}

DeviceObservation PooledDevice::Observe() const {
  DeviceObservation seen;
  seen.name = name_;
  seen.description = backing_->description();
  seen.lost = backing_->Lost().value_or("");
  seen.capacity_bytes = pool_.capacity_bytes();
  seen.chunk_bytes = backing_->chunk_bytes();
  seen.committed_bytes = pool_.committed_bytes();
  seen.held_bytes = pool_.held_bytes();
  seen.free_bytes = pool_.free_bytes();
  seen.host_backup_bytes = host_backup_bytes_;
  const SystemFigures system = backing_->ReadFigures(seen.capacity_bytes, seen.host_backup_bytes);
  seen.context_bytes = system.context_bytes;
  seen.used_bytes = system.used_bytes;
  seen.total_bytes = system.total_bytes;
  const std::lock_guard lock(regions_mutex_);
  for (const PooledRegion* region : regions_) seen.regions.push_back(region->Observe());
  return seen;
}

void PooledDevice::Sample(DeviceSample& sample) const {
  sample.host_backup_bytes = host_backup_bytes_;
  sample.held_bytes = pool_.held_bytes();
  const SystemFigures system = backing_->ReadFigures(pool_.capacity_bytes(), sample.host_backup_bytes);
  sample.used_bytes = system.used_bytes;
  sample.total_bytes = system.total_bytes;
  sample.context_bytes = system.context_bytes;
  size_t rows = 0;
  const std::lock_guard lock(regions_mutex_);
  for (const PooledRegion* region : regions_) {
    const auto end = sample.consumers.begin() + static_cast<ptrdiff_t>(rows);
    auto row = std::find_if(sample.consumers.begin(), end, [&](const auto& one) { return one.name == region->consumer(); });
    if (row == end) {
      if (rows == sample.consumers.size()) sample.consumers.emplace_back();
      row = sample.consumers.begin() + static_cast<ptrdiff_t>(rows++);
      row->name = region->consumer();
      row->reserved_bytes = row->committed_bytes = row->used_bytes = 0;
    }
    region->AddTo(*row);
  }
  sample.consumers.resize(rows);
}

std::vector<Holder> PooledDevice::Holders() const {
  std::vector<Holder> holders = RegionHolders();
  if (pool_.held_bytes() > 0) holders.push_back({"pool", pool_.held_bytes()});
  return holders;
}

std::vector<Holder> PooledDevice::RegionHolders() const {
  std::vector<Holder> holders;
  const std::lock_guard lock(regions_mutex_);
  for (const PooledRegion* region : regions_) {
    const uint64_t bytes = region->committed_bytes();
    if (bytes == 0) continue;
    const auto same = std::find_if(holders.begin(), holders.end(),
                                   [&](const Holder& holder) { return holder.consumer == region->consumer(); });
    if (same == holders.end()) {
      holders.push_back({region->consumer(), bytes});
    } else {
      same->bytes += bytes;
    }
  }
  return holders;
}

}  // namespace tideline
