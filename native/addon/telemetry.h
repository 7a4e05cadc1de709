// NativeTelemetry (native/addon.d.ts): a Sampler whose batches arrive at a JavaScript function.
#pragma once

#include <napi.h>

#include <memory>

#include "memory/device.h"  // Device

namespace tideline {

class TelemetryFeed;

class NativeTelemetry : public Napi::ObjectWrap<NativeTelemetry> {
 public:
  static constexpr const char* kClassName = "NativeTelemetry";
  static void Register(Napi::Env env);
  // Starts at once. Batches arrive until stop(); a feed does not keep the process alive.
  static Napi::Object New(Napi::Env env, std::shared_ptr<Device> device, Napi::Value options, Napi::Value on_batch);

  explicit NativeTelemetry(const Napi::CallbackInfo& info);
  ~NativeTelemetry() override;

 private:
  void SetRate(const Napi::CallbackInfo& info);
  void Stop(const Napi::CallbackInfo& info);

  std::shared_ptr<TelemetryFeed> feed_;  // empty once stopped
};

}  // namespace tideline
