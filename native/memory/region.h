// Region: one reserved address range for one tag of one consumer. Physical memory is mapped into it chunk by chunk
// from the device's PagePool; addresses never change across release and resume, and a chunk is never shared with
// another region, so releasing a tag frees exactly that tag (torch_memory_saver issue #85).
//
// State machine (every refusal is a typed Error and changes nothing):
//   released --Resume--> resident --Release(discard|host|disk|clean)--> released | host | disk
//   host | disk --Resume--> resident
//   host | disk --Release(discard)--> released   (gives up the backup: the way out when it is lost)
// Contents are `undefined` after a first Resume and after discard + Resume; Data() for reading is refused then.
//
// Backups:
//  - A backup outlives the Resume that read it. It is `clean` until the contents change (MarkWritten, CopyIn, Fill).
//  - Releasing to the place of a clean backup copies nothing (the receipt's method is `clean`); `clean` asks for just
//    that and is refused with `not_clean` when there is no clean backup.
//  - There is at most one: backing up to the other place drops the first, as do discard and Close. The file of a disk
//    backup is deleted with it. The buffer of a host backup is kept for the next one until then.
//  - Undefined contents cannot be backed up (`contents_undefined`).
//
// Loans: while another process has the memory mapped, Release and Close are refused with `shared`. What it writes nobody
// sees, so that afterwards a backup is no longer clean.
#pragma once

#include <cstdint>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memory/progress.h"  // Operation

namespace tideline {

enum class Residency { kResident, kReleased, kHost, kDisk };
enum class Contents { kDefined, kUndefined };
enum class ReleaseMode { kDiscard, kHost, kDisk, kClean };
enum class Destination { kHold, kReturn };

struct ReleaseOptions {
  ReleaseMode mode = ReleaseMode::kDiscard;
  Destination destination = Destination::kReturn;
  std::string directory;  // for kDisk
};

// What a release, resume, load, swap or prepare did: native/addon.d.ts explains each field.
struct Receipt {
  std::string action, consumer, method;
  uint64_t bytes_freed = 0, bytes_retained = 0, bytes_committed = 0, bytes_copied = 0, bytes_prepared = 0;
  double milliseconds = 0;
};

struct BackupObservation {
  bool disk = false;
  uint64_t bytes = 0;
  bool clean = false;
  std::string file;
};

struct RegionObservation {
  std::string consumer, tag;
  Residency residency = Residency::kReleased;
  Contents contents = Contents::kUndefined;
  uint64_t reserved_bytes = 0, committed_bytes = 0, used_bytes = 0;
  uintptr_t address = 0;
  std::optional<BackupObservation> backup;
  std::string shared_with;  // consumer whose bytes are used instead of these; empty: none
};

class Device;

// Thread-safe: operations on one region are serialised by its own mutex; observing never waits for a copy.
// A pointer from MutableData()/Data() is valid while the region stays resident: whoever computes on it must keep
// Release from running (the engine does, by stopping between steps).
class Region {
 public:
  virtual ~Region() = default;

  // Errors of Release: already_released, contents_undefined, not_clean, shared, out_of_memory (host backup), backup_io (disk
  // backup), cancelled. Of Resume: already_resident, out_of_memory, backup_missing, backup_corrupt, backup_io,
  // cancelled. Either is followed by the state there was before.
  virtual Receipt Release(const ReleaseOptions&, const Operation& = {}) = 0;
  virtual Receipt Resume(const Operation& = {}) = 0;
  // In any state: host memory for a backup is taken now, so that the first release to host only copies. Beside everything
  // else: it may be under way while the region is used, released and resumed. It is kept as that of a backup is. Errors:
  // out_of_memory, cancelled (by the caller, or because the region is closed), device_lost; nothing is kept then.
  virtual Receipt PrepareBackup(const Operation& = {}) = 0;
  // released -> host, with undefined contents: memory for a backup is taken, and none of the device. For what is only ever
  // changed from the host (HostData). Errors: already_resident, already_released (on the host or on disk), out_of_memory,
  // cancelled.
  virtual Receipt TakeOnHost(const Operation& = {}) = 0;

  // First byte. Error `not_resident` when released.
  virtual void* MutableData() = 0;
  // As above, and Error `contents_undefined` until written.
  virtual const void* Data() const = 0;
  // Contents are now defined and differ from any backup.
  virtual void MarkWritten() = 0;
  // Contents are half written: undefined until all is written anew, and a backup of what was there before goes. Not refused
  // during a loan, whose borrower has seen what was written already.
  virtual void MarkUndefined() = 0;
  // While on the host: the first byte of the backup, which is all there is of the contents, to be changed in place; on a
  // GPU's region it is pinned. Error not_resident anywhere else. MarkHostWritten then says that they are defined.
  virtual void* HostData() = 0;
  virtual void MarkHostWritten() = 0;
  // What of the region is in use (KV blocks taken, tensors laid out); for telemetry. Relaxed atomic, cheap. Never told,
  // it is all of it while the contents are defined. Observed as 0 while nothing is resident.
  virtual void SetUsedBytes(uint64_t bytes) = 0;
  // For observers only: whose bytes stand in for this released region (zero-copy swap). Empty ends it.
  virtual void SetSharedWith(const std::string& consumer) = 0;

  // To another process, as `borrower` ("process 1234 (python3)"). Errors: unsupported, not_resident, contents_undefined,
  // device_lost.
  virtual void BeginLoan(const std::string& borrower) = 0;
  virtual void EndLoan(const std::string& borrower) noexcept = 0;
  // Error `shared` while there is a loan; `action` is what is refused: "release".
  virtual void RefuseWhileLent(const char* action) const = 0;
  // During a loan: a file descriptor of the chunk at `index` (in order of address), which the caller closes.
  virtual int ExportChunk(size_t index) const = 0;
  // In order of address, the same at every resume.
  virtual std::vector<uint64_t> chunk_sizes() const = 0;

  virtual uint64_t reserved_bytes() const = 0;
  virtual const std::string& consumer() const = 0;
  virtual RegionObservation Observe() const = 0;
  virtual Device& device() const = 0;

  // Bytes in and out of this region, host memory on the other side. Bounds-checked; errors not_resident, bad_argument.
  // CopyIn makes a backup unclean but leaves undefined contents undefined: call MarkWritten when all is in. CopyOut
  // copies whatever is there: whoever hands it on checks Data() first.
  virtual void CopyIn(uint64_t offset, const void* source, uint64_t bytes) = 0;
  virtual void CopyOut(uint64_t offset, void* target, uint64_t bytes) const = 0;
  // The whole region filled with a pattern of `seed`, which makes it defined.
  virtual void Fill(uint64_t seed) = 0;
  // CRC-32C of all bytes. Errors: not_resident, contents_undefined.
  virtual uint32_t Checksum() const = 0;
  // Frees addresses, chunks and backups. Everything after it is refused with `bad_argument`; closing twice is fine.
  // Error: shared.
  virtual void Close() = 0;
};

}  // namespace tideline
