// NativeModel (native/addon.d.ts): weights of one model beside the engine, or before an engine takes them over.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/device.h"  // DeviceHandle
#include "engine/model.h"  // Model

namespace tideline {

class NativeModel : public Napi::ObjectWrap<NativeModel> {
 public:
  static constexpr const char* kClassName = "NativeModel";
  // The class, and `createModel` and `weightBytes` on `exports`.
  static void Register(Napi::Env env, Napi::Object exports);

  explicit NativeModel(const Napi::CallbackInfo& info);

  // For reading: swap sources. Error bad_argument after close.
  const std::shared_ptr<Model>& model() const { return state_.model; }
  // From now on the engine changes these weights and nobody else.
  void HandToEngine() { handed_over_ = true; }
  void RefuseIfHandedOver() const;

 private:
  struct State {
    DeviceHandle device;
    std::shared_ptr<Model> model;
  };
  static Napi::Value Create(const Napi::CallbackInfo& info);

  Napi::Value Observe(const Napi::CallbackInfo& info);
  Napi::Value Tensors(const Napi::CallbackInfo& info);
  Napi::Value ReadTensor(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value CopyFrom(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value Share(const Napi::CallbackInfo& info);
  Napi::Value Save(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  State state_;
  bool handed_over_ = false;
};

}  // namespace tideline
