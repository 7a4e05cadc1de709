// Release and resume: check, prepare everything that can fail, only then change state.
#include "memory/pooled_region.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <limits>
#include <utility>

#include "memory/crc32c.h"         // Crc32c
#include "memory/parallel.h"       // ForPieces
#include "memory/pooled_device.h"  // PooledDevice
#include "memory/stopwatch.h"      // Stopwatch

namespace tideline {
namespace {

// SetUsedBytes was never called.
constexpr uint64_t kNeverTold = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

// Memory on its way between the device and a region; forgotten however the way ends.
class Transit {
 public:
  explicit Transit(std::atomic<uint64_t>& bytes) : bytes_(bytes) {}
  ~Transit() { bytes_ = 0; }
  Transit(const Transit&) = delete;

 private:
  std::atomic<uint64_t>& bytes_;
};

// Mixes a 64-bit counter into bits that look random (SplitMix64's finaliser).
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

PooledRegion::PooledRegion(std::shared_ptr<PooledDevice> device, std::string consumer, std::string tag, uint64_t bytes)
    : device_(std::move(device)),
      consumer_(std::move(consumer)),
      tag_(std::move(tag)),
      reserved_bytes_(bytes),
      address_(device_->backing().Reserve(bytes)),
      backup_(device_->backing(), device_->host_backup_bytes(), address_, bytes),
      used_bytes_(kNeverTold) {}

PooledRegion::~PooledRegion() {
  const auto close = [&] {
    try {
      Close();
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  // A driver that is short of memory for a moment is asked again; nobody can be told that it refused twice.
  if (!close() && !close()) device_->Unregister(*this);
}

Receipt PooledRegion::Release(const ReleaseOptions& options, const Operation& operation) {
  const Stopwatch stopwatch;
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  RefuseBorrowed("release");
  Receipt receipt{.action = "release", .consumer = consumer_, .method = "discard"};
  if (!resident()) {
    if (options.mode != ReleaseMode::kDiscard || residency_ == Residency::kReleased) {
      throw Error("already_released", consumer_ + " is already released", "resume it first");
    }
    ForgetContents();
    residency_ = Residency::kReleased;
    receipt.milliseconds = stopwatch.Milliseconds();
    return receipt;
  }

  Residency after = Residency::kReleased;
  device_->backing().Synchronize();
  if (options.mode != ReleaseMode::kDiscard) {
    receipt.bytes_copied = BackUp(options, operation);
    after = backup_.on_disk() ? Residency::kDisk : Residency::kHost;
    receipt.method = receipt.bytes_copied == 0 ? "clean" : backup_.on_disk() ? "disk" : "host";
  }
  if (!chunks_.empty()) device_->backing().Unmap(address_, chunks_);
  // From here on nothing fails.
  const Transit transit(transit_bytes_);
  transit_bytes_ = BytesOf(chunks_);
  residency_.store(after, std::memory_order_release);
  if (options.mode == ReleaseMode::kDiscard) ForgetContents();
  device_->pool().Give(std::exchange(chunks_, {}), options.destination);
  (options.destination == Destination::kReturn ? receipt.bytes_freed : receipt.bytes_retained) = reserved_bytes_;
  receipt.milliseconds = stopwatch.Milliseconds();
  return receipt;
}

uint64_t PooledRegion::BackUp(const ReleaseOptions& options, const Operation& operation) {
  if (!defined()) {
    throw Error("contents_undefined", consumer_ + " has no contents to keep", "release it with discard");
  }
  if (options.mode == ReleaseMode::kClean) {
    if (!backup_.Holds(version_, false) && !backup_.Holds(version_, true)) {
      throw Error("not_clean", consumer_ + (backup_.exists() ? " changed since its last backup" : " has no backup"),
                  "release it to host or disk");
    }
    return 0;
  }
  const bool to_disk = options.mode == ReleaseMode::kDisk;
  if (backup_.Holds(version_, to_disk)) return 0;
  operation.Step(0, reserved_bytes_);

  const uint64_t version = version_;
  if (to_disk) {
    backup_.WriteFile(BackupPath(options.directory), version, operation);
  } else {
    backup_.FillHost(version, [&](HostBuffer& buffer) {
      if (options.destination == Destination::kReturn && buffer.whole()) {
        Vacate(buffer, operation);
      } else {
        buffer.TakeAndFill(address_, operation);
      }
    });
  }
  return reserved_bytes_;
}

void PooledRegion::Vacate(HostBuffer& buffer, const Operation& operation) {
  const bool arrived = device_->backing().Vacate(buffer.data(), address_, chunks_, operation);
  residency_.store(arrived ? Residency::kHost : Residency::kReleased, std::memory_order_release);
  device_->pool().Forget(std::exchange(chunks_, {}));
  if (arrived) return;
  ForgetContents();
  device_->backing().Synchronize();  // says that the device is lost
}

Receipt PooledRegion::Resume(const Operation& operation) {
  const Stopwatch stopwatch;
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  if (resident()) throw Error("already_resident", consumer_ + " is already resident", "release it first");
  const Residency before = residency_;
  if (before == Residency::kDisk) backup_.CheckFile();  // before any memory is taken
  operation.Step(0, reserved_bytes_);

  const Transit transit(transit_bytes_);
  const Operation creating{.cancellation = operation.cancellation, .on_progress = [this](uint64_t taken, uint64_t) {
                             transit_bytes_ = taken;
                           }};
  PagePool::Taken taken = device_->pool().Take(chunk_sizes(), creating);
  std::vector<Chunk> chunks = taken.chunks();
  transit_bytes_ = reserved_bytes_;
  try {
    device_->backing().Map(address_, chunks);
  } catch (...) {
    device_->pool().Undo(std::move(taken));
    throw;
  }
  try {
    if (before != Residency::kReleased) backup_.Restore(operation);
  } catch (...) {
    UnmapForGood(chunks);
    device_->pool().Undo(std::move(taken));
    throw;
  }
  chunks_ = std::move(chunks);
  residency_.store(Residency::kResident, std::memory_order_release);
  Receipt receipt{.action = "resume", .consumer = consumer_, .method = "zero"};
  receipt.bytes_committed = reserved_bytes_;
  if (before != Residency::kReleased) {
    receipt.method = before == Residency::kDisk ? "disk" : "host";
    receipt.bytes_copied = reserved_bytes_;
  }
  receipt.milliseconds = stopwatch.Milliseconds();
  return receipt;
}

Receipt PooledRegion::PrepareBackup(const Operation& operation) {
  const Stopwatch stopwatch;
  Receipt receipt{.action = "prepare", .consumer = consumer_, .method = "host"};
  receipt.bytes_prepared = backup_.Prepare(operation);
  receipt.milliseconds = stopwatch.Milliseconds();
  return receipt;
}

Receipt PooledRegion::TakeOnHost(const Operation& operation) {
  const Stopwatch stopwatch;
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  if (resident()) throw Error("already_resident", consumer_ + " is already resident", "release it first");
  if (residency_ != Residency::kReleased) {
    throw Error("already_released", consumer_ + " has a backup already", "release it first");
  }
  backup_.FillHost(version_, [&](HostBuffer& buffer) { buffer.Take(operation); });
  residency_.store(Residency::kHost, std::memory_order_release);
  Receipt receipt{.action = "resume", .consumer = consumer_, .method = "host"};
  receipt.milliseconds = stopwatch.Milliseconds();
  return receipt;
}

void PooledRegion::ForgetContents() {
  contents_ = Contents::kUndefined;
  used_bytes_ = kNeverTold;
  backup_.Drop();
}

std::string PooledRegion::BackupPath(const std::string& directory) const {
  // The address tells this region from every other one of this process.
  char unique[64];
  std::snprintf(unique, sizeof unique, "-%d-%zx.tideline-backup", ::getpid(), static_cast<size_t>(address_));
  std::string name = consumer_ + unique;
  std::replace_if(name.begin(), name.end(),
                  [](unsigned char c) { return !std::isalnum(c) && c != '.' && c != '-' && c != '_'; }, '_');
  return directory + (directory.ends_with('/') ? "" : "/") + name;
}

void* PooledRegion::MutableData() {
  CheckResident();
  return reinterpret_cast<void*>(address_);
}

const void* PooledRegion::Data() const {
  CheckResident();
  if (!defined()) {
    throw Error("contents_undefined", consumer_ + " was not written since it was resumed",
                "load it, or resume it from a backup");
  }
  return reinterpret_cast<const void*>(address_);
}

void PooledRegion::MarkWritten() {
  version_.fetch_add(1);
  contents_.store(Contents::kDefined, std::memory_order_release);
}

void PooledRegion::MarkUndefined() {
  const std::lock_guard lock(operation_mutex_);
  ForgetContents();
}

void* PooledRegion::HostData() {
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  if (residency_ != Residency::kHost) throw Error("not_resident", consumer_ + " is not on the host", "offload it first");
  return backup_.host_data();
}

void PooledRegion::MarkHostWritten() {
  const std::lock_guard lock(operation_mutex_);
  MarkWritten();
  backup_.SetHostVersion(version_);
}

void PooledRegion::CopyIn(uint64_t offset, const void* source, uint64_t bytes) {
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  CheckResident();
  CheckRange(offset, bytes);
  version_.fetch_add(1);
  device_->backing().CopyFromHost(address_ + offset, source, bytes, {});
}

void PooledRegion::CopyOut(uint64_t offset, void* target, uint64_t bytes) const {
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  CheckResident();
  CheckRange(offset, bytes);
  device_->backing().CopyToHost(target, address_ + offset, bytes, {});
}

void PooledRegion::Fill(uint64_t seed) {
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  CheckResident();
  ForPieces(reserved_bytes_, kPieceBytes, {}, [&](uint64_t offset, uint64_t bytes) {
    std::vector<uint64_t> words(bytes / sizeof(uint64_t));
    const uint64_t first = offset / sizeof(uint64_t);
    for (size_t i = 0; i < words.size(); ++i) words[i] = Mix((seed + 1) * 0x9e3779b97f4a7c15u + first + i);
    device_->backing().CopyFromHost(address_ + offset, words.data(), bytes, {});
  });
  MarkWritten();
}

uint32_t PooledRegion::Checksum() const {
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  Data();
  const bool is_host = device_->backing().is_host();
  std::vector<char> staging(is_host ? 0 : kPieceBytes);
  uint32_t crc = 0;
  for (uint64_t offset = 0; offset < reserved_bytes_; offset += kPieceBytes) {
    const uint64_t bytes = std::min(kPieceBytes, reserved_bytes_ - offset);
    if (!is_host) device_->backing().CopyToHost(staging.data(), address_ + offset, bytes, {});
    crc = Crc32c(crc, is_host ? reinterpret_cast<const void*>(address_ + offset) : staging.data(), bytes);
  }
  return crc;
}

void PooledRegion::Close() {
  const std::lock_guard lock(operation_mutex_);
  if (closed_) return;
  RefuseBorrowed("close");
  if (resident()) {
    UnmapForGood(chunks_);
    residency_ = Residency::kReleased;
    device_->pool().Give(std::exchange(chunks_, {}), Destination::kReturn);
  }
  residency_ = Residency::kReleased;
  ForgetContents();
  backup_.Close();
  device_->backing().Unreserve(address_, reserved_bytes_);
  closed_ = true;
  device_->Unregister(*this);
}

void PooledRegion::UnmapForGood(std::span<const Chunk> chunks) {
  try {
    device_->backing().Synchronize();
    device_->backing().Unmap(address_, chunks);
  } catch (const Error& error) {
    if (error.code != "device_lost") throw;
  }
}

void PooledRegion::BeginLoan(const std::string& borrower) {
  const std::lock_guard lock(operation_mutex_);
  CheckOpen();
  Data();
  borrowers_.push_back(borrower);
}

void PooledRegion::EndLoan(const std::string& borrower) noexcept {
  const std::lock_guard lock(operation_mutex_);
  borrowers_.erase(std::find(borrowers_.begin(), borrowers_.end(), borrower));
  version_.fetch_add(1);
}

void PooledRegion::RefuseWhileLent(const char* action) const {
  const std::lock_guard lock(operation_mutex_);
  RefuseBorrowed(action);
}

void PooledRegion::RefuseBorrowed(const char* action) const {
  if (borrowers_.empty()) return;
  throw Error("shared", std::string("cannot ") + action + " " + consumer_ + ": " + borrowers_.front() + " has it mapped",
              "end that mapping there, or stop sharing");
}

void PooledRegion::CheckOpen() const {
  if (closed_) throw Error("bad_argument", consumer_ + "'s region is closed");
}

void PooledRegion::CheckResident() const {
  if (!resident()) throw Error("not_resident", consumer_ + " is not resident", "resume it first");
}

void PooledRegion::CheckRange(uint64_t offset, uint64_t bytes) const {
  if (offset > reserved_bytes_ || bytes > reserved_bytes_ - offset) {
    throw Error("bad_argument", std::to_string(bytes) + " bytes at " + std::to_string(offset) + " lie outside of " +
                                    consumer_ + ", which has " + std::to_string(reserved_bytes_))
        .WithField("offset");
  }
}

uint64_t PooledRegion::used_bytes() const {
  if (!resident()) return 0;
  const uint64_t told = used_bytes_.load(std::memory_order_relaxed);
  if (told == kNeverTold) return defined() ? reserved_bytes_ : 0;
  return std::min(told, reserved_bytes_);
}

void PooledRegion::AddTo(DeviceSample::Consumer& row) const {
  row.reserved_bytes += reserved_bytes_;
  row.committed_bytes += resident() ? reserved_bytes_ : transit_bytes_.load(std::memory_order_relaxed);
  row.used_bytes += used_bytes();
}

void PooledRegion::SetSharedWith(const std::string& consumer) {
  const std::lock_guard lock(observed_mutex_);
  shared_with_ = consumer;
}

RegionObservation PooledRegion::Observe() const {
  RegionObservation seen;
  seen.consumer = consumer_;
  seen.tag = tag_;
  seen.residency = residency_;
  seen.contents = contents_;
  seen.reserved_bytes = reserved_bytes_;
  seen.committed_bytes = committed_bytes();
  seen.used_bytes = used_bytes();
  seen.address = address_;
  seen.backup = backup_.Observe(version_);
  const std::lock_guard lock(observed_mutex_);
  seen.shared_with = shared_with_;
  return seen;
}

Device& PooledRegion::device() const { return *device_; }

}  // namespace tideline
