// HostBuffer: the host memory of a region's backups. It is whole or not there: taken once, piece by piece and by many
// threads, ahead of the first backup or together with it, and kept until it is dropped.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "memory/backing.h"  // Backing, Operation

namespace tideline {

// Thread-safe; what is in it is its owner's business.
class HostBuffer {
 public:
  // Takes nothing. `total_bytes` counts what buffers have (the device's hostBackupBytes).
  HostBuffer(Backing& backing, std::atomic<uint64_t>& total_bytes, uint64_t bytes);
  // As Close.
  ~HostBuffer();
  HostBuffer(const HostBuffer&) = delete;

  bool whole() const { return whole_; }
  // Once it is whole.
  void* data() const { return first_; }

  // What is missing is there afterwards. When it fails, and nobody else is taking it, nothing is there. Errors:
  // out_of_memory, cancelled, device_lost.
  void Take(const Operation& operation);
  // The same for later, beside whoever uses the device: a driver lets nobody launch while it pins, so that is done by one
  // thread, after all else, with rests between.
  void TakeAside(const Operation& operation);
  // As Take, and a copy of the device's bytes into it: each piece is copied while others are taken. What was in it is lost.
  void TakeAndFill(uintptr_t source, const Operation& operation);
  // Gives the memory back, unless somebody is taking it.
  void Drop() noexcept;
  // Stops and awaits whoever is taking it, who gets `cancelled`, and gives the memory back for good.
  void Close() noexcept;

 private:
  struct Piece {
    std::mutex mutex;
    bool touched = false, pinned = false;
  };
  // Counts one that takes it, for a scope.
  class Taking;

  uint64_t pieces() const { return (bytes_ + kCopyPieceBytes - 1) / kCopyPieceBytes; }
  // Both do nothing where it is done.
  void TouchPiece(uint64_t offset, uint64_t bytes);
  void PinPiece(uint64_t offset, uint64_t bytes);
  void GiveBack() noexcept;

  Backing& backing_;
  std::atomic<uint64_t>& total_bytes_;
  const uint64_t bytes_;
  std::atomic<uint64_t> touched_bytes_{0};
  std::atomic<bool> whole_{false};  // somebody has taken it to the end
  std::atomic<bool> closed_{false};

  std::mutex mutex_;  // guards what follows
  std::condition_variable done_;
  unsigned taking_ = 0;
  char* first_ = nullptr;
  std::unique_ptr<Piece[]> pieces_;
};

}  // namespace tideline
