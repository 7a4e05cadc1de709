// NativeRegion (native/addon.d.ts): a Region of the core.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/device.h"   // DeviceHandle
#include "memory/region.h"  // Region

namespace tideline {

class NativeRegion : public Napi::ObjectWrap<NativeRegion> {
 public:
  static constexpr const char* kClassName = "NativeRegion";
  static void Register(Napi::Env env);
  static Napi::Object New(Napi::Env env, DeviceHandle device, std::shared_ptr<Region> region);

  explicit NativeRegion(const Napi::CallbackInfo& info);

 private:
  struct State {
    DeviceHandle device;
    std::shared_ptr<Region> region;
  };
  NativeRegion(const Napi::CallbackInfo& info, State state);

  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value PrepareBackup(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value CopyFrom(const Napi::CallbackInfo& info);
  Napi::Value Share(const Napi::CallbackInfo& info);
  Napi::Value Fill(const Napi::CallbackInfo& info);
  Napi::Value Checksum(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  const DeviceHandle device_;
  const std::shared_ptr<Region> region_;
};

}  // namespace tideline
