// RegionBackup: the copy of a region's contents outside its device. There is one at most, in host memory or in a file, and it
// knows which version of the contents it holds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "memory/backup_file.h"  // BackupFile
#include "memory/host_buffer.h"  // HostBuffer
#include "memory/region.h"       // BackupObservation

namespace tideline {

// Called by one operation of its region at a time, but for what says otherwise.
class RegionBackup {
 public:
  // Of the `bytes` at `address`; takes nothing. `host_bytes` is HostBuffer's.
  RegionBackup(Backing& backing, std::atomic<uint64_t>& host_bytes, uintptr_t address, uint64_t bytes)
      : backing_(backing), address_(address), bytes_(bytes), host_(backing, host_bytes, bytes) {}

  bool exists() const { return held_.has_value(); }
  bool on_disk() const { return held_ && held_->on_disk; }
  bool Holds(uint64_t version, bool on_disk) const {
    return held_ && held_->on_disk == on_disk && held_->version == version;
  }

  // On disk instead of what there is, which stays when that fails.
  void WriteFile(const std::string& path, uint64_t version, const Operation& operation);
  // In host memory instead of what there is: `fill` takes that memory and copies. When it fails a backup on disk stays, and one
  // in host memory, half overwritten, is none any more.
  void FillHost(uint64_t version, const std::function<void(HostBuffer&)>& fill);
  // Host memory holds that version now, because it was changed there.
  void SetHostVersion(uint64_t version);

  // The first byte in host memory, where it has been filled.
  void* host_data() const { return host_.data(); }
  // See BackupFile, for a backup on disk.
  void CheckFile() const { file_->Check(bytes_); }
  // Back to where it came from.
  void Restore(const Operation& operation);

  // Host memory for the next backup, beside everything else; returns the bytes that are taken. By anybody at any time.
  uint64_t Prepare(const Operation& operation);

  // There is none any more; its memory and its file go.
  void Drop();
  // The same for good: whoever prepares is stopped.
  void Close() noexcept { host_.Close(); }

  // While contents have that version. By anybody at any time.
  std::optional<BackupObservation> Observe(uint64_t version) const;

 private:
  struct Held {
    bool on_disk;
    uint64_t version;
  };
  // What is held from now on, for observers too.
  void Set(std::optional<Held> held);

  Backing& backing_;
  const uintptr_t address_;
  const uint64_t bytes_;
  HostBuffer host_;
  std::optional<BackupFile> file_;
  std::optional<Held> held_;  // without it host_ is only memory

  mutable std::mutex observed_mutex_;  // held for a copy of these only
  std::optional<Held> observed_;
  std::string observed_file_;
};

}  // namespace tideline
