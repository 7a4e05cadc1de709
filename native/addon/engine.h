// NativeEngine (native/addon.d.ts): generation and its memory, with events delivered on the JavaScript thread.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/async.h"    // OperationQueue
#include "engine/engine.h"  // Engine

namespace tideline {

class NativeEngine : public Napi::ObjectWrap<NativeEngine> {
 public:
  static constexpr const char* kClassName = "NativeEngine";
  // The class, and `createEngine` on `exports`.
  static void Register(Napi::Env env, Napi::Object exports);

  explicit NativeEngine(const Napi::CallbackInfo& info);
  ~NativeEngine() override;

  // For reading its weights: the source of a copy.
  const std::shared_ptr<Engine>& engine() const { return engine_; }

 private:
  static Napi::Value Create(const Napi::CallbackInfo& info);

  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Generate(const Napi::CallbackInfo& info);
  void Cancel(const Napi::CallbackInfo& info);
  Napi::Value Pause(const Napi::CallbackInfo& info);
  Napi::Value Continue(const Napi::CallbackInfo& info);
  Napi::Value Score(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value Swap(const Napi::CallbackInfo& info);
  Napi::Value Tensors(const Napi::CallbackInfo& info);
  Napi::Value ReadTensor(const Napi::CallbackInfo& info);
  Napi::Value Save(const Napi::CallbackInfo& info);
  Napi::Value ShareWeights(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  const std::shared_ptr<Engine> engine_;
  // Apart, because each may wait for something that only another can bring about: a swap for running requests, a score
  // for the engine to be continued.
  std::unique_ptr<OperationQueue> memory_ = std::make_unique<OperationQueue>();
  std::unique_ptr<OperationQueue> control_ = std::make_unique<OperationQueue>();
  std::unique_ptr<OperationQueue> scoring_ = std::make_unique<OperationQueue>();
};

}  // namespace tideline
