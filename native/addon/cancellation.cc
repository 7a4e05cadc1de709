// createCancellation() and cancel().
#include "addon/cancellation.h"

#include "addon/instance.h"  // AddonInstance

namespace tideline {

void NativeCancellation::Register(Napi::Env env) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(
      DefineClass(env, kClassName, {InstanceMethod<&NativeCancellation::Cancel>("cancel")}));
}

Napi::Object NativeCancellation::New(Napi::Env env) {
  return AddonInstance::Of(env).constructors[kClassName].New({});
}

NativeCancellation::NativeCancellation(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

void NativeCancellation::Cancel(const Napi::CallbackInfo&) { cancellation_->Cancel(); }

}  // namespace tideline
