// DelayedTask: does something on a thread of its own, a while after it was last asked for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace tideline {

class DelayedTask {
 public:
  // `task` throws nothing.
  DelayedTask(std::chrono::milliseconds delay, std::function<void()> task) : delay_(delay), task_(std::move(task)) {}
  ~DelayedTask() { Stop(); }
  DelayedTask(const DelayedTask&) = delete;

  void Ask();
  // Awaits it if it is under way; after that it is never done.
  void Stop() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  void Loop();

  const std::chrono::milliseconds delay_;
  const std::function<void()> task_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<Clock::time_point> due_;
  bool stopped_ = false;
  std::thread thread_;  // from the first time on
};

}  // namespace tideline
