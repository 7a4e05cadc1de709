// NativeSharing (native/addon.d.ts): a region lent to other processes.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "addon/async.h"     // OperationQueue
#include "memory/sharing.h"  // Sharing

namespace tideline {

class NativeSharing : public Napi::ObjectWrap<NativeSharing> {
 public:
  static constexpr const char* kClassName = "NativeSharing";
  static void Register(Napi::Env env);
  // Shares at `options.path` from now on. `tensors` are told to borrowers: where they lie in the region.
  static Napi::Object New(Napi::Env env, std::shared_ptr<Region> region, Napi::Value options,
                          std::optional<Napi::Array> tensors = std::nullopt);

  explicit NativeSharing(const Napi::CallbackInfo& info);

 private:
  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  const std::shared_ptr<Sharing> sharing_;
  // Its own: ending a loan must not wait for what others do on the device.
  std::unique_ptr<OperationQueue> queue_ = std::make_unique<OperationQueue>();
};

}  // namespace tideline
