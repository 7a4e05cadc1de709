// The addon's front door: what require("tideline.node") returns (native/addon.d.ts, TidelineAddon).
#include <napi.h>

#include "addon/cancellation.h"  // NativeCancellation
#include "addon/convert.h"       // Guarded
#include "addon/instance.h"      // AddonInstance

namespace tideline {
namespace {

Napi::Value CreateCancellation(const Napi::CallbackInfo& info) { return NativeCancellation::New(info.Env()); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonInstance(env));  // deleted with the environment
  NativeCancellation::Register(env);
  exports.Set("version", Napi::String::New(env, "0.1.0"));
  exports.Set("createCancellation", Napi::Function::New<CreateCancellation>(env, "createCancellation"));
  return exports;
}

NODE_API_MODULE(tideline, Init)

}  // namespace
}  // namespace tideline
