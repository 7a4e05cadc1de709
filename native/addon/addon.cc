// The addon's front door: what require("tideline.node") returns (native/addon.d.ts, TidelineAddon).
#include <napi.h>

namespace tideline {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("version", Napi::String::New(env, "0.1.0"));
  return exports;
}

NODE_API_MODULE(tideline, Init)

}  // namespace tideline
