// Progress and cancellation of one long operation (backup, restore, checkpoint load, swap), shared between the thread
// that works and whoever watches.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "memory/error.h"  // Error

namespace tideline {

class Cancellation {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  // Throws Error("cancelled") once cancelled; workers call it between chunks.
  void Check() const {
    if (cancelled()) throw Error("cancelled", "cancelled before it was done; nothing was changed");
  }

 private:
  std::atomic<bool> cancelled_{false};
};

// Passed down by reference; both members may be empty.
struct Operation {
  const Cancellation* cancellation = nullptr;
  std::function<void(uint64_t done_bytes, uint64_t total_bytes)> on_progress;

  void Step(uint64_t done, uint64_t total) const {
    if (cancellation) cancellation->Check();
    if (on_progress) on_progress(done, total);
  }
};

}  // namespace tideline
