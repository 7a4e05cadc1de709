#include "addon/model.h"

#include "addon/convert.h"   // Guarded, ToJs
#include "addon/engine.h"    // NativeEngine
#include "addon/instance.h"  // NewWrapped
#include "addon/sharing.h"   // NativeSharing
#include "addon/weights.h"   // ReadModelConfig, TensorViews

namespace tideline {
namespace {

Napi::Value WeightBytes(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const auto head = info[2].IsUndefined() ? std::nullopt : std::optional<Napi::Value>(info[2]);
    const WeightsLayout layout(ReadModelConfig(info[0]), ReadWeightDType(info[1], "dtype"), ReadModelHead(head, "head"));
    return ToJs(info.Env(), layout.total_bytes());
  });
}

// A model, or an engine: the weights that it uses when the copy begins.
std::function<std::shared_ptr<Model>()> ReadCopySource(Napi::Value value) {
  const bool engine = value.IsObject() && value.As<Napi::Object>().InstanceOf(
                                              AddonInstance::Of(value.Env()).constructors[NativeEngine::kClassName].Value());
  if (engine) {
    return [engine = Unwrapped<NativeEngine>(value, "source").engine()] { return engine->Weights(); };
  }
  return [model = Unwrapped<NativeModel>(value, "source").model()] { return model; };
}

}  // namespace

void NativeModel::Register(Napi::Env env, Napi::Object exports) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeModel::Observe>("observe"), InstanceMethod<&NativeModel::Tensors>("tensors"),
       InstanceMethod<&NativeModel::ReadTensor>("readTensor"), InstanceMethod<&NativeModel::Load>("load"),
       InstanceMethod<&NativeModel::CopyFrom>("copyFrom"), InstanceMethod<&NativeModel::Share>("share"),
       InstanceMethod<&NativeModel::Release>("release"), InstanceMethod<&NativeModel::Resume>("resume"),
       InstanceMethod<&NativeModel::Save>("save"), InstanceMethod<&NativeModel::Close>("close")}));
  exports.Set("createModel", Napi::Function::New<Create>(env, "createModel"));
  exports.Set("weightBytes", Napi::Function::New<WeightBytes>(env, "weightBytes"));
}

Napi::Value NativeModel::Create(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const DeviceHandle device = Unwrapped<NativeDevice>(info[0], "device").handle();
    const Napi::Object options = ReadObject(info[1], "options");
    auto model = std::make_shared<Model>(device.device, ReadModelConfig(options.Get("config")),
                                         ReadWeightDType(options.Get("dtype"), "options.dtype"),
                                         ReadString(options.Get("consumer"), "options.consumer"),
                                         ReadModelHead(Member(options, "head"), "options.head"));
    return NewWrapped<NativeModel>(info.Env(), State{device, std::move(model)});
  });
}

NativeModel::NativeModel(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeModel>(info), state_(TakeState<State>(info)) {}

void NativeModel::RefuseIfHandedOver() const {
  if (handed_over_) {
    throw Error("busy", model()->consumer() + " belong to an engine, which alone changes them",
                "use the engine's release, resume, swap and close");
  }
}

Napi::Value NativeModel::Observe(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ToJs(info.Env(), model()->Observe()); });
}

Napi::Value NativeModel::Tensors(const Napi::CallbackInfo& info) { return TensorViews(info.Env(), model()->layout()); }

Napi::Value NativeModel::ReadTensor(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ReadTensorAsync(info, *state_.device.queue, model()); });
}

Napi::Value NativeModel::Load(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    RefuseIfHandedOver();
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue,
        [model = model(), sources = ReadTensorSources(info[0]), operation] {
          return model->Load(sources, operation.ForCore());
        },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeModel::CopyFrom(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    RefuseIfHandedOver();
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue,
        [model = model(), source = ReadCopySource(info[0]), operation] {
          return model->CopyFrom(*source(), operation.ForCore());
        },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeModel::Release(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    RefuseIfHandedOver();
    const LongOperation operation = ReadLongOperation(info.Env(), info[0]);
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue,
        [model = model(), options = ReadReleaseOptions(info[0]), operation] {
          return model->Release(options, operation.ForCore());
        },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeModel::Resume(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    RefuseIfHandedOver();
    const LongOperation operation = ReadLongOperation(info.Env(), info[0]);
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue,
        [model = model(), operation] { return model->Resume(operation.ForCore()); }, kReceiptToJs,
        operation.cancellation);
  });
}

Napi::Value NativeModel::Share(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return NativeSharing::New(info.Env(), model()->LendableRegion(), info[0], TensorViews(info.Env(), model()->layout()));
  });
}

Napi::Value NativeModel::Save(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return SaveAsync(info, *state_.device.queue, model()); });
}

Napi::Value NativeModel::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    RefuseIfHandedOver();
    return RunAsync(
        info.This().As<Napi::Object>(), *state_.device.queue, [model = model()] { model->Close(); }, kNothingToJs);
  });
}

}  // namespace tideline
