// The methods of a device, and its regions and telemetry as JavaScript objects.
#include "addon/device.h"

#include <string>
#include <utility>

#include "addon/convert.h"    // ReadObject, ToJs
#include "addon/instance.h"   // NewWrapped
#include "addon/region.h"     // NativeRegion
#include "addon/telemetry.h"  // NativeTelemetry

namespace tideline {

void NativeDevice::Register(Napi::Env env) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeDevice::Observe>("observe"), InstanceMethod<&NativeDevice::Usage>("usage"),
       InstanceMethod<&NativeDevice::Holders>("holders"), InstanceMethod<&NativeDevice::CreateRegion>("createRegion"),
       InstanceMethod<&NativeDevice::PrepareBackups>("prepareBackups"),
       InstanceMethod<&NativeDevice::SetCapacity>("setCapacity"), InstanceMethod<&NativeDevice::Trim>("trim"),
       InstanceMethod<&NativeDevice::StartTelemetry>("startTelemetry"), InstanceMethod<&NativeDevice::Close>("close")}));
}

Napi::Object NativeDevice::New(Napi::Env env, DeviceHandle handle) {
  return NewWrapped<NativeDevice>(env, std::move(handle));
}

NativeDevice::NativeDevice(const Napi::CallbackInfo& info) : ObjectWrap(info), handle_(TakeState<DeviceHandle>(info)) {}

const DeviceHandle& NativeDevice::handle() const {
  if (closed_) throw Error("bad_argument", "the device is closed");
  return handle_;
}

Napi::Value NativeDevice::Observe(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ToJs(info.Env(), handle().device->Observe()); });
}

Napi::Value NativeDevice::Usage(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ToJs(info.Env(), handle().device->Usage()); });
}

Napi::Value NativeDevice::Holders(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ToJs(info.Env(), handle().device->Holders()); });
}

Napi::Value NativeDevice::CreateRegion(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const Napi::Object options = ReadObject(info[0], "options");
    const std::string consumer = ReadString(options.Get("consumer"), "options.consumer");
    const std::string tag = ReadString(options.Get("tag"), "options.tag");
    const uint64_t bytes = ReadInteger(options.Get("bytes"), "options.bytes", 1);
    return NativeRegion::New(info.Env(), handle(), handle().device->CreateRegion(consumer, tag, bytes));
  });
}

Napi::Value NativeDevice::PrepareBackups(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const std::string consumer = ReadString(info[0], "consumer");
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *handle().background,
        [device = handle_.device, consumer, core = operation.ForCore()] { return device->PrepareBackups(consumer, core); },
        kReceiptToJs, operation.cancellation);
  });
}

void NativeDevice::SetCapacity(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] { handle().device->SetCapacity(ReadInteger(info[0], "bytes", 1)); });
}

Napi::Value NativeDevice::Trim(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *handle().queue, [device = handle_.device] { return device->Trim(); },
        [](Napi::Env env, uint64_t bytes) -> Napi::Value { return ToJs(env, bytes); });
  });
}

Napi::Value NativeDevice::StartTelemetry(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return NativeTelemetry::New(info.Env(), handle().device, info[0], info[1]); });
}

Napi::Value NativeDevice::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *handle().queue, [device = handle_.device] { device->Close(); },
        // Only now: a refused close leaves the device usable. `this` is alive until the promise has settled.
        [this](Napi::Env env) -> Napi::Value {
          closed_ = true;
          return env.Undefined();
        });
  });
}

}  // namespace tideline
