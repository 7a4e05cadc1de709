#include "addon/sharing.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "addon/convert.h"   // ReadObject, ToJs
#include "addon/instance.h"  // NewWrapped

namespace tideline {
namespace {

// Chunks of one size that follow each other are one entry: a region of gigabytes has a few.
Napi::Array ChunksToJs(Napi::Env env, const std::vector<uint64_t>& sizes) {
  Napi::Array runs = Napi::Array::New(env);
  for (auto first = sizes.begin(); first != sizes.end();) {
    const auto next = std::find_if(first, sizes.end(), [&](uint64_t size) { return size != *first; });
    Napi::Object run = Napi::Object::New(env);
    run.Set("bytes", ToJs(env, *first));
    run.Set("count", ToJs(env, static_cast<uint64_t>(next - first)));
    runs.Set(runs.Length(), run);
    first = next;
  }
  return runs;
}

// What a borrower has to know before it maps anything: native/addon.d.ts, SharedRegion.
std::string Describe(Napi::Env env, Region& region, std::optional<Napi::Array> tensors) {
  Napi::Object device = Napi::Object::New(env);
  device.Set("name", region.device().name());
  device.Set("uuid", region.device().Uuid());
  const RegionObservation seen = region.Observe();
  Napi::Object description = Napi::Object::New(env);
  description.Set("consumer", seen.consumer);
  description.Set("tag", seen.tag);
  description.Set("bytes", ToJs(env, seen.reserved_bytes));
  description.Set("chunks", ChunksToJs(env, region.chunk_sizes()));
  description.Set("device", device);
  if (tensors) description.Set("tensors", *tensors);
  const Napi::Object json = env.Global().Get("JSON").As<Napi::Object>();
  return json.Get("stringify").As<Napi::Function>().Call(json, {description}).As<Napi::String>().Utf8Value();
}

}  // namespace

void NativeSharing::Register(Napi::Env env) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(
      DefineClass(env, kClassName,
                  {InstanceMethod<&NativeSharing::Observe>("observe"), InstanceMethod<&NativeSharing::Close>("close")}));
}

Napi::Object NativeSharing::New(Napi::Env env, std::shared_ptr<Region> region, Napi::Value options,
                                std::optional<Napi::Array> tensors) {
  const std::string path = ReadString(ReadObject(options, "options").Get("path"), "options.path");
  std::string description = Describe(env, *region, tensors);
  return NewWrapped<NativeSharing>(env, std::make_shared<Sharing>(std::move(region), path, std::move(description)));
}

NativeSharing::NativeSharing(const Napi::CallbackInfo& info) : ObjectWrap(info), sharing_(TakeState<std::shared_ptr<Sharing>>(info)) {}

Napi::Value NativeSharing::Observe(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("path", sharing_->path());
  object.Set("borrowers", ToJs(info.Env(), sharing_->borrowers()));
  return object;
}

Napi::Value NativeSharing::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *queue_, [sharing = sharing_] { sharing->Close(); }, kNothingToJs);
  });
}

}  // namespace tideline
