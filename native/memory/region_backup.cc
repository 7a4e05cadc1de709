#include "memory/region_backup.h"

#include <utility>

namespace tideline {

void RegionBackup::WriteFile(const std::string& path, uint64_t version, const Operation& operation) {
  BackupFile file = BackupFile::Write(path, backing_, address_, bytes_, operation);
  if (file_) {
    *file_ = std::move(file);
  } else {
    file_.emplace(std::move(file));
  }
  host_.Drop();
  Set(Held{true, version});
}

void RegionBackup::FillHost(uint64_t version, const std::function<void(HostBuffer&)>& fill) {
  if (held_ && !held_->on_disk) Set(std::nullopt);
  fill(host_);
  file_.reset();
  Set(Held{false, version});
}

void RegionBackup::SetHostVersion(uint64_t version) { Set(Held{false, version}); }

void RegionBackup::Restore(const Operation& operation) {
  if (on_disk()) {
    file_->Read(backing_, address_, bytes_, operation);
  } else {
    backing_.CopyFromHost(address_, host_.data(), bytes_, operation);
  }
}

uint64_t RegionBackup::Prepare(const Operation& operation) {
  const uint64_t missing_bytes = host_.whole() ? 0 : bytes_;
  host_.TakeAside(operation);
  return missing_bytes;
}

void RegionBackup::Drop() {
  file_.reset();
  host_.Drop();
  Set(std::nullopt);
}

void RegionBackup::Set(std::optional<Held> held) {
  held_ = held;
  const std::lock_guard lock(observed_mutex_);
  observed_ = held;
  observed_file_ = file_ ? file_->path() : std::string();
}

std::optional<BackupObservation> RegionBackup::Observe(uint64_t version) const {
  const std::lock_guard lock(observed_mutex_);
  if (!observed_) return std::nullopt;
  return BackupObservation{observed_->on_disk, bytes_, observed_->version == version, observed_file_};
}

}  // namespace tideline
