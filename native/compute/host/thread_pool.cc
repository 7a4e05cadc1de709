#include "compute/host/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <system_error>

namespace tideline {
namespace {

// A layer's steps follow each other within microseconds: waiting that long by spinning is cheaper than sleeping, and
// short enough not to burn a core that has nothing to do.
constexpr int kSpins = 2000;

template <typename Condition>
bool SpinUntil(const Condition& condition) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (condition()) return true;
    __builtin_ia32_pause();
  }
  return condition();
}

}  // namespace

unsigned AvailableThreads() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(unsigned threads) {
  const unsigned wanted = threads == 0 ? AvailableThreads() : threads;
  workers_.reserve(wanted - 1);
  try {
    for (unsigned worker = 1; worker < wanted; ++worker) workers_.emplace_back([this, worker] { Work(worker); });
  } catch (const std::system_error&) {
    // No more threads to be had: those that started and the caller do the work.
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(uint64_t count, const std::function<void(uint64_t, unsigned)>& task) {
  if (count == 0) return;
  if (workers_.empty() || count == 1) {
    for (uint64_t index = 0; index < count; ++index) task(index, 0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    count_ = count;
    next_ = 0;
    failed_ = false;
    failure_ = nullptr;
    open_ = true;
    round_.fetch_add(1);
  }
  start_.notify_all();
  RunTasks(0);
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  if (!SpinUntil([this] { return joined_.load() == 0; })) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return joined_.load() == 0; });
  }
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::Work(unsigned worker) {
  uint64_t seen = 0;
  while (true) {
    const auto called = [&] { return stop_.load() || round_.load() != seen; };
    SpinUntil(called);
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, called);
      if (stop_) return;
      seen = round_.load();
      if (!open_) continue;
      joined_.fetch_add(1);
    }
    RunTasks(worker);
    if (joined_.fetch_sub(1) == 1) {
      const std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

void ThreadPool::RunTasks(unsigned worker) {
  while (!failed_) {
    const uint64_t index = next_.fetch_add(1);
    if (index >= count_) return;
    try {
      (*task_)(index, worker);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }
}

}  // namespace tideline
