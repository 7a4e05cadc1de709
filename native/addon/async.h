// Work off the JavaScript thread: an OperationQueue runs operations one after another on its own thread, RunAsync turns
// one into a promise, LongOperation carries progress and cancellation across.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

#include "addon/convert.h"   // ToJs, ToJsError, ErrorFrom
#include "addon/instance.h"  // MainThread, JsCallback
#include "memory/progress.h" // Operation, Cancellation

namespace tideline {

// One thread, first in first out. Destroyed on the JavaScript thread (or any thread that is not its own): cancels what
// runs, drops what waits, joins.
class OperationQueue {
 public:
  OperationQueue();
  ~OperationQueue();
  OperationQueue(const OperationQueue&) = delete;

  // `cancellation`, when given, is cancelled if the queue is destroyed before the work is done.
  void Enqueue(std::function<void()> work, std::shared_ptr<Cancellation> cancellation = nullptr);

 private:
  struct Entry {
    std::function<void()> work;
    std::shared_ptr<Cancellation> cancellation;
  };
  void Loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Entry> waiting_;
  std::shared_ptr<Cancellation> running_;
  bool stopping_ = false;
  std::thread thread_;
};

// The `onProgress` and `cancellation` of native/addon.d.ts LongOperation.
struct LongOperation {
  std::shared_ptr<Cancellation> cancellation = std::make_shared<Cancellation>();
  JsCallback on_progress;

  // What the core takes. Progress is delivered at most 20 times a second, and always for the last byte. Copies of it
  // and this LongOperation may outlive each other.
  Operation ForCore() const;
};

// From a call's optional options object; `bad_argument` when a member has the wrong type.
LongOperation ReadLongOperation(Napi::Env env, Napi::Value options);

// How the results of most operations are converted.
inline constexpr auto kReceiptToJs = [](Napi::Env env, const Receipt& receipt) -> Napi::Value { return ToJs(env, receipt); };
inline constexpr auto kNothingToJs = [](Napi::Env env) -> Napi::Value { return env.Undefined(); };

// Runs `work()` on `queue`; the promise resolves with `convert(env, result)` (`convert(env)` when work returns nothing)
// on the JavaScript thread, or rejects with the Error that was thrown. `self` stays alive until then, so the objects
// that `work` uses, its queue among them, may belong to it.
template <typename Work, typename Convert>
Napi::Promise RunAsync(Napi::Object self, OperationQueue& queue, Work work, Convert convert,
                       std::shared_ptr<Cancellation> cancellation = nullptr) {
  using Result = std::invoke_result_t<Work&>;
  // void has no values: an empty struct stands in for it.
  using Stored = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

  const Napi::Env env = self.Env();
  auto main = AddonInstance::Of(env).main;
  auto deferred = Napi::Promise::Deferred::New(env);
  auto keep = std::make_shared<Napi::ObjectReference>(Napi::Persistent(self));
  keep->SuppressDestruct();  // Reset by hand on the JavaScript thread, or deleted with the environment
  main->Retain(env);

  queue.Enqueue(
      [main, deferred, keep, work = std::move(work), convert = std::move(convert)]() mutable {
        auto result = std::make_shared<std::optional<Stored>>();
        auto error = std::make_shared<std::optional<Error>>();
        try {
          if constexpr (std::is_void_v<Result>) {
            work();
            result->emplace();
          } else {
            result->emplace(work());
          }
        } catch (...) {
          error->emplace(ErrorFrom(std::current_exception()));
        }
        main->Post([main, deferred, keep, result, error, convert = std::move(convert)](Napi::Env env) mutable {
          main->Release(env);
          try {
            if (*error) {
              deferred.Reject(ToJsError(env, **error).Value());
            } else if constexpr (std::is_void_v<Result>) {
              deferred.Resolve(convert(env));
            } else {
              deferred.Resolve(convert(env, **result));
            }
          } catch (const Napi::Error& thrown) {
            deferred.Reject(thrown.Value());
          }
          keep->Reset();
        });
      },
      std::move(cancellation));
  return deferred.Promise();
}

}  // namespace tideline
