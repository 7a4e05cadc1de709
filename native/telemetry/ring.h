// Rows from the sampling thread to the thread that delivers them: one producer, one consumer, no locks, fixed memory.
// A full ring drops the new row and counts it; nothing is lost silently.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace tideline {

class RowRing {
 public:
  // Rows of `columns` doubles; holds `rows` of them.
  RowRing(size_t columns, size_t rows) : columns_(columns), rows_(rows), values_(columns * rows) {}

  size_t columns() const { return columns_; }
  size_t rows() const { return rows_; }

  // Producer only. False when full: the row is counted as dropped.
  bool Push(const double* row) {
    const uint64_t written = written_.load(std::memory_order_relaxed);
    if (written - read_.load(std::memory_order_acquire) == rows_) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    std::memcpy(&values_[(written % rows_) * columns_], row, columns_ * sizeof(double));
    written_.store(written + 1, std::memory_order_release);
    return true;
  }

  // Consumer only.
  size_t Size() const { return written_.load(std::memory_order_acquire) - read_.load(std::memory_order_relaxed); }

  // Consumer only: moves up to `rows` of the oldest rows to `target`; returns how many.
  size_t Pop(double* target, size_t rows) {
    const uint64_t read = read_.load(std::memory_order_relaxed);
    const size_t available = written_.load(std::memory_order_acquire) - read;
    const size_t count = rows < available ? rows : available;
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(target + i * columns_, &values_[((read + i) % rows_) * columns_], columns_ * sizeof(double));
    }
    read_.store(read + count, std::memory_order_release);
    return count;
  }

  // Rows refused since the last call.
  uint64_t TakeDropped() { return dropped_.exchange(0, std::memory_order_relaxed); }

 private:
  const size_t columns_, rows_;
  std::vector<double> values_;
  alignas(64) std::atomic<uint64_t> written_{0};
  alignas(64) std::atomic<uint64_t> read_{0};
  alignas(64) std::atomic<uint64_t> dropped_{0};
};

}  // namespace tideline
