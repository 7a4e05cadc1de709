// ForPieces: threads take the next piece from a shared counter.
#include "memory/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace tideline {
namespace {

constexpr unsigned kMostThreads = 8;

}  // namespace

void ForPieces(uint64_t total_bytes, uint64_t piece_bytes, const Operation& operation,
               const std::function<void(uint64_t, uint64_t)>& work) {
  const uint64_t pieces = (total_bytes + piece_bytes - 1) / piece_bytes;
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // guards done, failure and the operation's callbacks
  uint64_t done = 0;
  std::exception_ptr failure;

  const auto run = [&] {
    try {
      while (!stop.load(std::memory_order_relaxed)) {
        const uint64_t piece = next.fetch_add(1, std::memory_order_relaxed);
        if (piece >= pieces) return;
        const uint64_t offset = piece * piece_bytes;
        const uint64_t bytes = std::min(piece_bytes, total_bytes - offset);
        work(offset, bytes);
        const std::lock_guard lock(mutex);
        done += bytes;
        operation.Step(done, total_bytes);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      stop.store(true, std::memory_order_relaxed);
    }
  };

  const uint64_t wanted = std::min<uint64_t>({pieces, std::max(1u, std::thread::hardware_concurrency()), kMostThreads});
  std::vector<std::thread> helpers;
  try {
    for (uint64_t i = 1; i < wanted; ++i) helpers.emplace_back(run);
  } catch (const std::system_error&) {
    // No more threads to be had: those that started and this one do the work.
  }
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace tideline
