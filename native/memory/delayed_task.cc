#include "memory/delayed_task.h"

#include <system_error>

namespace tideline {

void DelayedTask::Ask() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  due_ = Clock::now() + delay_;
  changed_.notify_one();
  if (thread_.joinable()) return;
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::system_error&) {
    // No more threads to be had: it is done when it is asked for again.
  }
}

void DelayedTask::Stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void DelayedTask::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (!due_) {
      changed_.wait(lock);
    } else if (Clock::now() < *due_) {
      changed_.wait_until(lock, *due_);
    } else {
      due_.reset();
      lock.unlock();
      task_();
      lock.lock();
    }
  }
}

}  // namespace tideline
