// The parts of PPO that need no model (native/addon.d.ts ppoAdvantages).
#pragma once

#include <napi.h>

namespace tideline {

// `ppoAdvantages` on `exports`.
void RegisterPpo(Napi::Env env, Napi::Object exports);

}  // namespace tideline
