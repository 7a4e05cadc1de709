// The disk backup of a region's bytes: a checksummed file.
#pragma once

#include <cstdint>
#include <string>

#include "memory/backing.h"  // Backing

namespace tideline {

// The file of a disk backup, deleted with this object. Layout, little endian: a 40-byte header (magic "TIDELNBK",
// version, CRC-32C of the rest of header and table, bytes of data, bytes per piece, number of pieces), one CRC-32C per
// piece, the data.
class BackupFile {
 public:
  // Writes under a temporary name, syncs, renames: a file at `path` is always whole. Errors: backup_io (nothing is left
  // behind), cancelled.
  static BackupFile Write(std::string path, Backing& backing, uintptr_t source, uint64_t bytes,
                          const Operation& operation);

  BackupFile(BackupFile&& other) noexcept;
  BackupFile& operator=(BackupFile&& other) noexcept;
  ~BackupFile();

  const std::string& path() const { return path_; }
  // Errors: backup_missing, backup_corrupt (header, table or size are not what was written), backup_io.
  void Check(uint64_t bytes) const;
  // Errors: those of Check, backup_corrupt when a piece's checksum differs, cancelled; the target is half written then.
  void Read(Backing& backing, uintptr_t target, uint64_t bytes, const Operation& operation) const;

 private:
  explicit BackupFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace tideline
