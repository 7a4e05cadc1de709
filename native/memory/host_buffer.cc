// Touched by many threads, because one takes seconds for what the link moves in a third of one, and pinned piece by piece,
// so that copying begins with the first.
//
// Pinning keeps the driver's lock: eight threads that pinned stopped a rollout beside them for as long as they ran. One that pins
// what is there, and rests, does not. Touching is not populating (host_memory.h), which would stop it too.
#include "memory/host_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "memory/host_memory.h"     // MapAligned, Touch
#include "memory/machine_memory.h"  // AvailableMachineBytes
#include "memory/parallel.h"        // ForPieces

namespace tideline {
namespace {

// Left to the rest of the system.
constexpr uint64_t kBackupReserveBytes = uint64_t{512} << 20;
// Counted as it is taken, so that no sample finds much that nobody accounts for.
constexpr uint64_t kCountedBytes = uint64_t{2} << 20;
// Of the time that pinning takes: so much is left to others. Where somebody else takes the same memory meanwhile, who waits
// for it, not for long.
constexpr int kRests = 3;
constexpr std::chrono::milliseconds kLongestRest{20};
using Clock = std::chrono::steady_clock;

Error Closed() { return Error("cancelled", "cancelled: the region of this backup is closed"); }

}  // namespace

class HostBuffer::Taking {
 public:
  explicit Taking(HostBuffer& buffer) : buffer_(buffer) {
    const std::lock_guard lock(buffer_.mutex_);
    if (buffer_.closed_) throw Closed();
    if (!buffer_.first_) {
      const uint64_t available = AvailableMachineBytes();
      if (available < buffer_.bytes_ + kBackupReserveBytes) {
        throw Error("out_of_memory",
                    "the machine has " + std::to_string(available >> 20) + " MiB left, too little for a backup of " +
                        std::to_string(buffer_.bytes_ >> 20) + " MiB",
                    "back up to disk");
      }
      buffer_.first_ = static_cast<char*>(MapAligned(buffer_.bytes_, PROT_READ | PROT_WRITE, MAP_NORESERVE));
      if (!buffer_.first_) throw MappingError("reserving memory");
      if (buffer_.bytes_ >= kHugePageBytes) ::madvise(buffer_.first_, buffer_.bytes_, MADV_HUGEPAGE);  // where it is allowed
      buffer_.pieces_ = std::make_unique<Piece[]>(buffer_.pieces());
    }
    ++buffer_.taking_;
  }
  ~Taking() {
    const std::lock_guard lock(buffer_.mutex_);
    if (--buffer_.taking_ > 0) return;
    if (!buffer_.whole_) buffer_.GiveBack();
    buffer_.done_.notify_all();
  }
  Taking(const Taking&) = delete;
  void Succeeded() const { buffer_.whole_ = true; }

 private:
  HostBuffer& buffer_;
};

HostBuffer::HostBuffer(Backing& backing, std::atomic<uint64_t>& total_bytes, uint64_t bytes)
    : backing_(backing), total_bytes_(total_bytes), bytes_(bytes) {}

HostBuffer::~HostBuffer() { Close(); }

void HostBuffer::Take(const Operation& operation) {
  const Taking taking(*this);
  if (whole_) return;
  ForPieces(bytes_, kCopyPieceBytes, operation, [&](uint64_t offset, uint64_t bytes) { PinPiece(offset, bytes); });
  taking.Succeeded();
}

void HostBuffer::TakeAside(const Operation& operation) {
  const Taking taking(*this);
  if (whole_) return;
  ForPieces(bytes_, kCopyPieceBytes, operation, [&](uint64_t offset, uint64_t bytes) { TouchPiece(offset, bytes); });
  for (uint64_t offset = 0; offset < bytes_ && !whole_; offset += kCopyPieceBytes) {
    operation.Step(bytes_, bytes_);
    const auto start = Clock::now();
    PinPiece(offset, std::min(kCopyPieceBytes, bytes_ - offset));
    std::this_thread::sleep_for(std::min<Clock::duration>(kRests * (Clock::now() - start), kLongestRest));
  }
  taking.Succeeded();
}

void HostBuffer::TakeAndFill(uintptr_t source, const Operation& operation) {
  const Taking taking(*this);
  if (whole_) return backing_.CopyToHost(first_, source, bytes_, operation);
  ForPieces(bytes_, kCopyPieceBytes, operation, [&](uint64_t offset, uint64_t bytes) {
    PinPiece(offset, bytes);
    backing_.CopyToHost(first_ + offset, source + offset, bytes, {});
  });
  taking.Succeeded();
}

void HostBuffer::TouchPiece(uint64_t offset, uint64_t bytes) {
  Piece& piece = pieces_[offset / kCopyPieceBytes];
  const std::lock_guard lock(piece.mutex);
  if (piece.touched) return;
  if (closed_) throw Closed();
  for (uint64_t counted = 0; counted < bytes; counted += kCountedBytes) {
    const uint64_t step = std::min(kCountedBytes, bytes - counted);
    Touch(first_ + offset + counted, step);
    total_bytes_ += step;
  }
  piece.touched = true;
  touched_bytes_ += bytes;
}

void HostBuffer::PinPiece(uint64_t offset, uint64_t bytes) {
  TouchPiece(offset, bytes);
  Piece& piece = pieces_[offset / kCopyPieceBytes];
  const std::lock_guard lock(piece.mutex);
  if (piece.pinned) return;
  if (closed_) throw Closed();
  backing_.Pin(first_ + offset, bytes);
  piece.pinned = true;
}

void HostBuffer::Drop() noexcept {
  const std::lock_guard lock(mutex_);
  if (taking_ == 0) GiveBack();
}

void HostBuffer::Close() noexcept {
  closed_ = true;
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return taking_ == 0; });
  GiveBack();
}

void HostBuffer::GiveBack() noexcept {
  if (!first_) return;
  ForPieces(bytes_, kCopyPieceBytes, {}, [&](uint64_t offset, uint64_t bytes) {
    if (pieces_[offset / kCopyPieceBytes].pinned) backing_.Unpin(first_ + offset, bytes);
  });
  ::munmap(first_, bytes_);
  total_bytes_ -= touched_bytes_.exchange(0);
  whole_ = false;
  first_ = nullptr;
  pieces_.reset();
}

}  // namespace tideline
