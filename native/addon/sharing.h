// NativeSharing (native/addon.d.ts): a region lent to other processes.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "addon/device.h"    // DeviceHandle
#include "memory/sharing.h"  // Sharing

namespace tideline {

class NativeSharing : public Napi::ObjectWrap<NativeSharing> {
 public:
  static constexpr const char* kClassName = "NativeSharing";
  static void Register(Napi::Env env);
  // Shares at `options.path` from now on. `tensors` are told to borrowers: where they lie in the region.
  static Napi::Object New(Napi::Env env, const DeviceHandle& device, std::shared_ptr<Region> region, Napi::Value options,
                          std::optional<Napi::Array> tensors = std::nullopt);

  explicit NativeSharing(const Napi::CallbackInfo& info);

 private:
  struct State {
    DeviceHandle device;
    std::shared_ptr<Sharing> sharing;
  };

  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  State state_;
};

}  // namespace tideline
