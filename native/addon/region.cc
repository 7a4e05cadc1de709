// The methods of a region: read the arguments on the JavaScript thread, work on the device's queue.
#include "addon/region.h"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "addon/convert.h"  // ReadReleaseOptions, ToJs
#include "addon/sharing.h"  // NativeSharing
#include "memory/stopwatch.h"  // Stopwatch

namespace tideline {
namespace {

// One read makes one JavaScript buffer, and those end at 4 GiB.
constexpr uint64_t kMostReadBytes = uint64_t{1} << 32;

// In the device's queue, where nothing releases either of them meanwhile.
Receipt CopyWhole(Region& target, const Region& source) {
  const Stopwatch stopwatch;
  const uint64_t bytes = source.reserved_bytes();
  if (&target == &source || &target.device() != &source.device() || target.reserved_bytes() != bytes) {
    throw Error("bad_argument", "source must be another region of this device, of " +
                                    std::to_string(target.reserved_bytes()) + " bytes")
        .WithField("source");
  }
  target.device().CopyFrom(target.MutableData(), source.device(), source.Data(), bytes);
  target.MarkWritten();
  return Receipt{.action = "load",
                 .consumer = target.consumer(),
                 .method = "copy",
                 .bytes_copied = bytes,
                 .milliseconds = stopwatch.Milliseconds()};
}

}  // namespace

void NativeRegion::Register(Napi::Env env) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeRegion::Observe>("observe"), InstanceMethod<&NativeRegion::Release>("release"),
       InstanceMethod<&NativeRegion::Resume>("resume"), InstanceMethod<&NativeRegion::PrepareBackup>("prepareBackup"),
       InstanceMethod<&NativeRegion::Write>("write"),
       InstanceMethod<&NativeRegion::Read>("read"), InstanceMethod<&NativeRegion::CopyFrom>("copyFrom"),
       InstanceMethod<&NativeRegion::Share>("share"), InstanceMethod<&NativeRegion::Fill>("fill"),
       InstanceMethod<&NativeRegion::Checksum>("checksum"), InstanceMethod<&NativeRegion::Close>("close")}));
}

Napi::Object NativeRegion::New(Napi::Env env, DeviceHandle device, std::shared_ptr<Region> region) {
  return NewWrapped<NativeRegion>(env, State{std::move(device), std::move(region)});
}

NativeRegion::NativeRegion(const Napi::CallbackInfo& info) : NativeRegion(info, TakeState<State>(info)) {}

NativeRegion::NativeRegion(const Napi::CallbackInfo& info, State state)
    : ObjectWrap(info), device_(std::move(state.device)), region_(std::move(state.region)) {}

Napi::Value NativeRegion::Observe(const Napi::CallbackInfo& info) { return ToJs(info.Env(), region_->Observe()); }

Napi::Value NativeRegion::Release(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const ReleaseOptions options = ReadReleaseOptions(info[0]);
    const LongOperation operation = ReadLongOperation(info.Env(), info[0]);
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue,
        [region = region_, options, core = operation.ForCore()] { return region->Release(options, core); }, kReceiptToJs,
        operation.cancellation);
  });
}

Napi::Value NativeRegion::Resume(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[0]);
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue,
        [region = region_, core = operation.ForCore()] { return region->Resume(core); }, kReceiptToJs,
        operation.cancellation);
  });
}

Napi::Value NativeRegion::PrepareBackup(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[0]);
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.background,
        [region = region_, core = operation.ForCore()] { return region->PrepareBackup(core); }, kReceiptToJs,
        operation.cancellation);
  });
}

Napi::Value NativeRegion::Write(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const uint64_t offset = ReadInteger(info[0], "offset");
    if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      throw Error("bad_argument", "bytes must be a Uint8Array").WithField("bytes");
    }
    // Copied here: JavaScript may change or detach the array while the operation waits for its turn.
    const auto array = info[1].As<Napi::Uint8Array>();
    auto bytes = std::make_shared<std::vector<uint8_t>>(array.Data(), array.Data() + array.ElementLength());
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue,
        [region = region_, offset, bytes] {
          region->CopyIn(offset, bytes->data(), bytes->size());
          region->MarkWritten();
        },
        kNothingToJs);
  });
}

Napi::Value NativeRegion::Read(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const uint64_t offset = ReadInteger(info[0], "offset");
    const uint64_t bytes = ReadInteger(info[1], "bytes", 0, kMostReadBytes);
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue,
        [region = region_, offset, bytes] {
          if (bytes > region->reserved_bytes()) {
            throw Error("bad_argument", std::to_string(bytes) + " bytes are more than " + region->consumer() + " has")
                .WithField("bytes");
          }
          region->Data();  // refuses undefined contents
          std::vector<uint8_t> data(bytes);
          region->CopyOut(offset, data.data(), bytes);
          return data;
        },
        [](Napi::Env env, const std::vector<uint8_t>& data) -> Napi::Value {
          Napi::Uint8Array array = Napi::Uint8Array::New(env, data.size());
          std::copy(data.begin(), data.end(), array.Data());
          return array;
        });
  });
}

Napi::Value NativeRegion::CopyFrom(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue,
        [region = region_, source = Unwrapped<NativeRegion>(info[0], "source").region_] {
          return CopyWhole(*region, *source);
        },
        kReceiptToJs);
  });
}

Napi::Value NativeRegion::Share(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return NativeSharing::New(info.Env(), region_, info[0]); });
}

Napi::Value NativeRegion::Fill(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const uint64_t seed = ReadInteger(info[0], "seed");
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue, [region = region_, seed] { region->Fill(seed); }, kNothingToJs);
  });
}

Napi::Value NativeRegion::Checksum(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue, [region = region_] { return region->Checksum(); },
        [](Napi::Env env, uint32_t checksum) -> Napi::Value {
          char text[9];
          std::snprintf(text, sizeof text, "%08x", checksum);
          return Napi::String::New(env, text);
        });
  });
}

Napi::Value NativeRegion::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *device_.queue, [region = region_] { region->Close(); }, kNothingToJs);
  });
}

}  // namespace tideline
