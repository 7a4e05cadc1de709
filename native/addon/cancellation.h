// NativeCancellation (native/addon.d.ts): the JavaScript side's hand on a running operation.
#pragma once

#include <napi.h>

#include <memory>

#include "memory/progress.h"  // Cancellation

namespace tideline {

class NativeCancellation : public Napi::ObjectWrap<NativeCancellation> {
 public:
  static constexpr const char* kClassName = "NativeCancellation";
  static void Register(Napi::Env env);
  static Napi::Object New(Napi::Env env);

  explicit NativeCancellation(const Napi::CallbackInfo& info);

  std::shared_ptr<Cancellation> cancellation() const { return cancellation_; }

 private:
  void Cancel(const Napi::CallbackInfo& info);

  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

}  // namespace tideline
