// NativeScratch (native/addon.d.ts): activations and logits that several trainers share.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/device.h"      // DeviceHandle
#include "training/scratch.h"  // Scratch

namespace tideline {

class NativeScratch : public Napi::ObjectWrap<NativeScratch> {
 public:
  static constexpr const char* kClassName = "NativeScratch";
  // The class, and `createScratch` on `exports`.
  static void Register(Napi::Env env, Napi::Object exports);

  explicit NativeScratch(const Napi::CallbackInfo& info);

  const std::shared_ptr<Scratch>& scratch() const { return state_.scratch; }

 private:
  struct State {
    DeviceHandle device;
    std::shared_ptr<Scratch> scratch;
  };
  static Napi::Value Create(const Napi::CallbackInfo& info);

  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  State state_;
};

}  // namespace tideline
