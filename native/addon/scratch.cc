#include "addon/scratch.h"

#include "addon/convert.h"   // Guarded, ToJs
#include "addon/instance.h"  // NewWrapped

namespace tideline {
namespace {

ScratchTag ReadTag(Napi::Value value) {
  return ReadWord<ScratchTag>(value, "tag",
                              {{"activations", ScratchTag::kActivations}, {"logits", ScratchTag::kLogits}});
}

}  // namespace

void NativeScratch::Register(Napi::Env env, Napi::Object exports) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeScratch::Observe>("observe"), InstanceMethod<&NativeScratch::Release>("release"),
       InstanceMethod<&NativeScratch::Resume>("resume"), InstanceMethod<&NativeScratch::Close>("close")}));
  exports.Set("createScratch", Napi::Function::New<Create>(env, "createScratch"));
}

Napi::Value NativeScratch::Create(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const DeviceHandle device = Unwrapped<NativeDevice>(info[0], "device").handle();
    const Napi::Object bytes = ReadObject(info[1], "bytes");
    auto scratch =
        std::make_shared<Scratch>(device.device, ReadInteger(bytes.Get("activationsBytes"), "bytes.activationsBytes", 1),
                                  ReadInteger(bytes.Get("logitsBytes"), "bytes.logitsBytes", 1));
    return NewWrapped<NativeScratch>(info.Env(), State{device, std::move(scratch)});
  });
}

NativeScratch::NativeScratch(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeScratch>(info), state_(TakeState<State>(info)) {}

Napi::Value NativeScratch::Observe(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ToJs(info.Env(), scratch()->Observe()); });
}

Napi::Value NativeScratch::Release(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue,
        [scratch = scratch(), tag = ReadTag(info[0]), options = ReadReleaseOptions(info[1]), operation] {
          return scratch->Release(tag, options, operation.ForCore());
        },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeScratch::Resume(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue,
        [scratch = scratch(), tag = ReadTag(info[0]), operation] { return scratch->Resume(tag, operation.ForCore()); },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeScratch::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue, [scratch = scratch()] { scratch->Close(); }, kNothingToJs);
  });
}

}  // namespace tideline
