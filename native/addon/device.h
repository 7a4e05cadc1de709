// NativeDevice (native/addon.d.ts): a Device of the core, with the queue that its operations run on.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon/async.h"    // OperationQueue
#include "memory/device.h"  // Device

namespace tideline {

// What every JavaScript object of one device shares: regions, models and engines hold it, so it does not matter in which
// order they are collected.
struct DeviceHandle {
  std::shared_ptr<Device> device;
  std::shared_ptr<OperationQueue> queue;
  std::shared_ptr<OperationQueue> background;  // for what must keep nothing else waiting
};

class NativeDevice : public Napi::ObjectWrap<NativeDevice> {
 public:
  static constexpr const char* kClassName = "NativeDevice";
  static void Register(Napi::Env env);
  static Napi::Object New(Napi::Env env, DeviceHandle handle);

  explicit NativeDevice(const Napi::CallbackInfo& info);

  // For objects made on this device. Error `bad_argument` after close().
  const DeviceHandle& handle() const;

 private:
  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Usage(const Napi::CallbackInfo& info);
  Napi::Value Holders(const Napi::CallbackInfo& info);
  Napi::Value PrepareBackups(const Napi::CallbackInfo& info);
  Napi::Value CreateRegion(const Napi::CallbackInfo& info);
  void SetCapacity(const Napi::CallbackInfo& info);
  Napi::Value Trim(const Napi::CallbackInfo& info);
  Napi::Value StartTelemetry(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  DeviceHandle handle_;
  bool closed_ = false;
};

}  // namespace tideline
