// NativeTrainer (native/addon.d.ts): scoring and training with one model.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/device.h"      // DeviceHandle
#include "training/trainer.h"  // Trainer

namespace tideline {

class NativeTrainer : public Napi::ObjectWrap<NativeTrainer> {
 public:
  static constexpr const char* kClassName = "NativeTrainer";
  // The class, and `createTrainer` and `trainingBytes` on `exports`.
  static void Register(Napi::Env env, Napi::Object exports);

  explicit NativeTrainer(const Napi::CallbackInfo& info);

 private:
  struct State {
    DeviceHandle device;
    std::shared_ptr<Trainer> trainer;
  };
  static Napi::Value Create(const Napi::CallbackInfo& info);

  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value ScoreTokens(const Napi::CallbackInfo& info);
  Napi::Value Values(const Napi::CallbackInfo& info);
  Napi::Value PolicyStep(const Napi::CallbackInfo& info);
  Napi::Value CriticStep(const Napi::CallbackInfo& info);
  Napi::Value LanguageStep(const Napi::CallbackInfo& info);
  Napi::Value ZeroGradients(const Napi::CallbackInfo& info);
  Napi::Value OptimizerStep(const Napi::CallbackInfo& info);
  Napi::Value RestoreWeights(const Napi::CallbackInfo& info);
  Napi::Value KeepOptimizerOnHost(const Napi::CallbackInfo& info);
  Napi::Value ResetOptimizer(const Napi::CallbackInfo& info);
  Napi::Value ReadGradient(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Runs work(trainer, operation) on the device's queue; progress and cancellation come from `options`.
  template <typename Work, typename Convert>
  Napi::Value Run(const Napi::CallbackInfo& info, Napi::Value options, Work work, Convert convert);

  State state_;
};

}  // namespace tideline
