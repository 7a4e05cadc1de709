// The engine's compute threads: one persistent pool whose caller works too. Tasks are handed out one by one, so a slow
// core delays nobody; results never depend on who computed what.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tideline {

// Cores that this process may use.
unsigned AvailableThreads();

class ThreadPool {
 public:
  // `threads` counts the caller: 1 starts nothing. 0 is AvailableThreads(). Where the system gives no more, it has fewer.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned threads() const { return static_cast<unsigned>(workers_.size()) + 1; }

  // Runs task(index, worker) for every index below `count`; worker < threads(). Returns when all are done; the first
  // exception is thrown again here and the tasks not yet started are skipped. One caller at a time.
  void ParallelFor(uint64_t count, const std::function<void(uint64_t index, unsigned worker)>& task);

 private:
  void Work(unsigned worker);
  void RunTasks(unsigned worker);

  std::vector<std::thread> workers_;
  // One round is one ParallelFor. A worker joins it while it is open; the caller closes it when no task is left and
  // waits for those that joined. Who slept through it, on a machine that is busy with other things, delays nobody.
  std::atomic<uint64_t> round_{0};
  std::atomic<unsigned> joined_{0};
  std::atomic<uint64_t> next_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;  // guards what follows, and joining
  bool open_ = false;
  const std::function<void(uint64_t, unsigned)>* task_ = nullptr;
  uint64_t count_ = 0;
  std::exception_ptr failure_;
  std::condition_variable start_;
  std::condition_variable done_;
};

}  // namespace tideline
