// The addon's front door: what require("tideline.node") returns (native/addon.d.ts, TidelineAddon).
#include <napi.h>

#include <string>
#include <thread>
#include <vector>

#include "addon/cancellation.h"           // NativeCancellation
#include "addon/convert.h"                // Guarded, ReadObject
#include "addon/device.h"                 // NativeDevice
#include "addon/engine.h"                 // NativeEngine
#include "addon/instance.h"               // AddonInstance
#include "addon/model.h"                  // NativeModel
#include "addon/ppo.h"                    // RegisterPpo
#include "addon/region.h"                 // NativeRegion
#include "addon/scratch.h"                // NativeScratch
#include "addon/sharing.h"                // NativeSharing
#include "addon/telemetry.h"              // NativeTelemetry
#include "addon/trainer.h"                // NativeTrainer
#include "compute/cuda/cublas_library.h"  // FindCublas
#include "compute/cuda/kernel_image.h"    // HasEmbeddedKernels
#include "compute/host/kernels.h"         // BestKernels
#include "telemetry/sampler.h"            // kSampleHeaderColumns

namespace tideline {
namespace {

constexpr uint64_t kMostChunkBytes = uint64_t{1} << 40;

Napi::Value ProbeDevices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<DeviceProbe> probes = tideline::ProbeDevices();
  Napi::Array array = Napi::Array::New(env, probes.size());
  for (uint32_t i = 0; i < probes.size(); ++i) {
    const DeviceProbe& probe = probes[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", Napi::String::New(env, probe.name));
    object.Set("description", Napi::String::New(env, probe.description));
    object.Set("totalBytes", ToJs(env, probe.total_bytes));
    object.Set("freeBytes", ToJs(env, probe.free_bytes));
    if (!probe.problem.empty()) object.Set("problem", Napi::String::New(env, probe.problem));
    if (!probe.driver_version.empty()) object.Set("driverVersion", Napi::String::New(env, probe.driver_version));
    array.Set(i, object);
  }
  return array;
}

Napi::Value OpenDevice(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const Napi::Object options = ReadObject(info[0], "options");
    const std::string name = ReadString(options.Get("name"), "options.name");
    const uint64_t capacity_bytes = ReadInteger(options.Get("capacityBytes"), "options.capacityBytes", 1);
    const auto chunk = Member(options, "chunkBytes");
    const uint64_t chunk_bytes = chunk ? ReadInteger(*chunk, "options.chunkBytes", 1, kMostChunkBytes) : 0;
    DeviceHandle handle;
    handle.device = tideline::OpenDevice(name, capacity_bytes, chunk_bytes);
    handle.queue = std::make_shared<OperationQueue>();
    handle.background = std::make_shared<OperationQueue>();
    return NativeDevice::New(info.Env(), std::move(handle));
  });
}

Napi::Value FindCublas(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CublasSearch& search = tideline::FindCublas();
  Napi::Object object = Napi::Object::New(env);
  if (search.library) {
    const int version = search.library->version;
    object.Set("path", Napi::String::New(env, search.library->path));
    object.Set("version", Napi::String::New(env, std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) +
                                                     "." + std::to_string(version % 100)));
  }
  if (!search.problem.empty()) object.Set("problem", Napi::String::New(env, search.problem));
  return object;
}

Napi::Value CreateCancellation(const Napi::CallbackInfo& info) { return NativeCancellation::New(info.Env()); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonInstance(env));  // deleted with the environment
  NativeCancellation::Register(env);
  NativeDevice::Register(env);
  NativeRegion::Register(env);
  NativeSharing::Register(env);
  NativeTelemetry::Register(env);
  NativeModel::Register(env, exports);
  NativeEngine::Register(env, exports);
  NativeScratch::Register(env, exports);
  NativeTrainer::Register(env, exports);
  RegisterPpo(env, exports);
  Napi::Object cpu = Napi::Object::New(env);
  cpu.Set("threads", Napi::Number::New(env, std::thread::hardware_concurrency()));
  cpu.Set("isa", Napi::String::New(env, BestKernels().isa));
  exports.Set("cpu", cpu);
  exports.Set("cudaKernels", Napi::Boolean::New(env, HasEmbeddedKernels()));
  exports.Set("SAMPLE_HEADER_COLUMNS", Napi::Number::New(env, kSampleHeaderColumns));
  exports.Set("SAMPLE_CONSUMER_COLUMNS", Napi::Number::New(env, kSampleConsumerColumns));
  exports.Set("probeDevices", Napi::Function::New<ProbeDevices>(env, "probeDevices"));
  exports.Set("findCublas", Napi::Function::New<FindCublas>(env, "findCublas"));
  exports.Set("openDevice", Napi::Function::New<OpenDevice>(env, "openDevice"));
  exports.Set("createCancellation", Napi::Function::New<CreateCancellation>(env, "createCancellation"));
  return exports;
}

NODE_API_MODULE(tideline, Init)

}  // namespace
}  // namespace tideline
