// From the sampling thread to JavaScript. At most one delivery is on its way: while the JavaScript thread is busy, rows
// wait in the ring and what overflows is counted, instead of messages piling up.
#include "addon/telemetry.h"

#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "addon/convert.h"      // ReadNumber, ReadFunction
#include "addon/instance.h"     // MainThread, JsCallback
#include "telemetry/sampler.h"  // Sampler

namespace tideline {
namespace {

constexpr double kLeastHertz = 10;
constexpr double kMostHertz = 1000;

Napi::Object BatchToJs(Napi::Env env, const SampleBatch& batch) {
  Napi::Object object = Napi::Object::New(env);
  Napi::Array consumers = Napi::Array::New(env, batch.consumers.size());
  for (uint32_t i = 0; i < batch.consumers.size(); ++i) consumers.Set(i, Napi::String::New(env, batch.consumers[i]));
  Napi::Float64Array samples = Napi::Float64Array::New(env, batch.samples.size());
  if (!batch.samples.empty()) std::memcpy(samples.Data(), batch.samples.data(), batch.samples.size() * sizeof(double));
  object.Set("consumers", consumers);
  object.Set("rows", Napi::Number::New(env, static_cast<double>(batch.rows)));
  object.Set("samples", samples);
  object.Set("dropped", ToJs(env, batch.dropped));
  return object;
}

}  // namespace

// Lives until the sampler has stopped and the last delivery was made.
class TelemetryFeed : public std::enable_shared_from_this<TelemetryFeed> {
 public:
  TelemetryFeed(Napi::Env env, Napi::Function on_batch)
      : main_(AddonInstance::Of(env).main), on_batch_(Napi::Persistent(on_batch)) {
    on_batch_.SuppressDestruct();  // Reset in Stop, or deleted with the environment
  }

  void Start(std::shared_ptr<Device> device, double hertz, double batch_seconds) {
    sampler_ = std::make_unique<Sampler>(std::move(device), hertz, batch_seconds, [this] { Notify(); });
  }

  void SetRate(double hertz) { sampler_->SetRate(hertz); }

  // On the JavaScript thread. What was sampled last is delivered before it returns.
  void Stop(Napi::Env env) {
    sampler_->Stop();
    Deliver(env);
    sampler_.reset();
    on_batch_.Reset();
  }

  // Without a last delivery: the environment or the object is going away.
  void Abandon() { sampler_.reset(); }

 private:
  // On the sampling thread.
  void Notify() {
    if (on_its_way_.exchange(true)) return;
    main_->Post([weak = weak_from_this()](Napi::Env env) {
      if (const auto feed = weak.lock()) feed->Deliver(env);
    });
  }

  void Deliver(Napi::Env env) {
    on_its_way_ = false;
    SampleBatch batch;
    while (sampler_ && sampler_->Collect(batch)) {
      if (batch.rows > 0 || batch.dropped > 0) on_batch_.Value().Call({BatchToJs(env, batch)});
    }
  }

  const std::shared_ptr<MainThread> main_;
  Napi::FunctionReference on_batch_;
  std::atomic<bool> on_its_way_{false};
  std::unique_ptr<Sampler> sampler_;
};

void NativeTelemetry::Register(Napi::Env env) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeTelemetry::SetRate>("setRate"), InstanceMethod<&NativeTelemetry::Stop>("stop")}));
}

Napi::Object NativeTelemetry::New(Napi::Env env, std::shared_ptr<Device> device, Napi::Value options, Napi::Value on_batch) {
  const Napi::Object object = ReadObject(options, "options");
  const double hertz = ReadNumber(object.Get("hertz"), "options.hertz", kLeastHertz, kMostHertz);
  const double batch_seconds = ReadNumber(object.Get("batchSeconds"), "options.batchSeconds", 0.01, 10);
  auto feed = std::make_shared<TelemetryFeed>(env, ReadFunction(on_batch, "onBatch"));
  feed->Start(std::move(device), hertz, batch_seconds);
  return NewWrapped<NativeTelemetry>(env, std::move(feed));
}

NativeTelemetry::NativeTelemetry(const Napi::CallbackInfo& info)
    : ObjectWrap(info), feed_(TakeState<std::shared_ptr<TelemetryFeed>>(info)) {}

NativeTelemetry::~NativeTelemetry() {
  if (feed_) feed_->Abandon();
}

void NativeTelemetry::SetRate(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    const double hertz = ReadNumber(info[0], "hertz", kLeastHertz, kMostHertz);
    if (feed_) feed_->SetRate(hertz);
  });
}

void NativeTelemetry::Stop(const Napi::CallbackInfo& info) {
  if (const auto feed = std::exchange(feed_, nullptr)) feed->Stop(info.Env());
}

}  // namespace tideline
