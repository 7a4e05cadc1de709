// The operation thread, and progress that does not flood the JavaScript thread.
#include "addon/async.h"

#include <chrono>

#include "addon/cancellation.h"  // NativeCancellation

namespace tideline {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(50);

}  // namespace

OperationQueue::OperationQueue() : thread_([this] { Loop(); }) {}

OperationQueue::~OperationQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_) running_->Cancel();
  }
  wake_.notify_all();
  thread_.join();
}

void OperationQueue::Enqueue(std::function<void()> work, std::shared_ptr<Cancellation> cancellation) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(work), std::move(cancellation)});
  }
  wake_.notify_one();
}

void OperationQueue::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = entry.cancellation;
    lock.unlock();
    entry.work();
    entry = {};  // what it captured is dropped before the next one runs, and not under the lock
    lock.lock();
    running_.reset();
  }
}

Operation LongOperation::ForCore() const {
  Operation operation;
  operation.cancellation = cancellation.get();
  if (!on_progress) return operation;
  operation.on_progress = [callback = on_progress, keep = cancellation,
                           last = std::chrono::steady_clock::time_point{}](uint64_t done, uint64_t total) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now - last < kProgressInterval) return;
    last = now;
    callback.Call([done, total](Napi::Env env) {
      return std::vector<napi_value>{ToJs(env, done), ToJs(env, total)};
    });
  };
  return operation;
}

LongOperation ReadLongOperation(Napi::Env env, Napi::Value options) {
  LongOperation operation;
  if (options.IsUndefined()) return operation;
  const Napi::Object object = ReadObject(options, "options");
  if (const auto callback = Member(object, "onProgress")) {
    operation.on_progress = JsCallback(env, ReadFunction(*callback, "options.onProgress"));
  }
  if (const auto cancellation = Member(object, "cancellation")) {
    operation.cancellation = Unwrapped<NativeCancellation>(*cancellation, "options.cancellation").cancellation();
  }
  return operation;
}

}  // namespace tideline
