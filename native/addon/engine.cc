#include "addon/engine.h"

#include "addon/convert.h"       // Guarded, ToJs, ReadWord
#include "addon/device.h"        // NativeDevice
#include "addon/instance.h"      // NewWrapped, JsCallback
#include "addon/model.h"         // NativeModel
#include "addon/number_lists.h"  // ReadTokenIds, ToJs
#include "addon/sharing.h"       // NativeSharing
#include "addon/weights.h"       // ReadModelConfig, ReadTensorSources

namespace tideline {
namespace {

EngineTag ReadTag(Napi::Value value) {
  return ReadWord<EngineTag>(value, "tag", {{"weights", EngineTag::kWeights},
                                            {"kv_cache", EngineTag::kKvCache},
                                            {"workspace", EngineTag::kWorkspace}});
}

EngineOptions ReadEngineOptions(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "options");
  EngineOptions options;
  options.kv_cache_bytes = ReadInteger(object.Get("kvCacheBytes"), "options.kvCacheBytes");
  if (const auto given = Member(object, "blockTokens")) options.block_tokens = ReadInteger(*given, "options.blockTokens", 1);
  if (const auto given = Member(object, "maxBatch")) options.max_batch = ReadInteger(*given, "options.maxBatch", 1);
  if (const auto given = Member(object, "prefillTokens")) {
    options.prefill_tokens = ReadInteger(*given, "options.prefillTokens", 1);
  }
  if (const auto given = Member(object, "kvDtype")) options.kv_dtype = ReadDType(*given, "options.kvDtype");
  if (const auto given = Member(object, "threads")) {
    options.threads = static_cast<unsigned>(ReadInteger(*given, "options.threads", 1, 1024));
  }
  return options;
}

GenerateRequest ReadRequest(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "requests[]");
  const Napi::Object sampling = ReadObject(object.Get("sampling"), "sampling");
  GenerateRequest request;
  request.prompt = ReadTokenIds(object.Get("promptIds"), "promptIds");
  request.max_new_tokens = ReadInteger(object.Get("maxNewTokens"), "maxNewTokens", 1);
  request.stop_tokens = ReadTokenIds(object.Get("stopTokenIds"), "stopTokenIds");
  request.sampling.temperature = ReadNumber(sampling.Get("temperature"), "sampling.temperature", 0, 1e6);
  request.sampling.top_k = ReadInteger(sampling.Get("topK"), "sampling.topK");
  request.sampling.top_p = ReadNumber(sampling.Get("topP"), "sampling.topP", 0, 1);
  request.sampling.seed = ReadInteger(sampling.Get("seed"), "sampling.seed");
  return request;
}

SwapOptions ReadSwapOptions(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "options");
  const Napi::Object source = ReadObject(object.Get("source"), "options.source");
  SwapOptions options;
  enum class Kind { kModel, kCheckpoint, kProcess };
  switch (ReadWord<Kind>(source.Get("kind"), "options.source.kind",
                         {{"model", Kind::kModel}, {"checkpoint", Kind::kCheckpoint}, {"process", Kind::kProcess}})) {
    case Kind::kModel:
      options.model = Unwrapped<NativeModel>(source.Get("model"), "options.source.model").model();
      break;
    case Kind::kCheckpoint:
      options.checkpoint_config = ReadModelConfig(source.Get("config"));
      options.checkpoint_tensors = ReadTensorSources(source.Get("tensors"));
      break;
    case Kind::kProcess:
      options.foreign = std::make_shared<const ForeignWeights>(ReadForeignWeights(source.Get("weights")));
      break;
  }
  using Method = SwapOptions::Method;
  using Running = SwapOptions::Running;
  options.method = ReadWord<Method>(object.Get("method"), "options.method",
                                    {{"auto", Method::kAuto},
                                     {"share", Method::kShare},
                                     {"copy", Method::kCopy},
                                     {"bucketed", Method::kBucketed}});
  if (const auto bytes = Member(object, "bucketBytes")) {
    options.bucket_bytes = ReadInteger(*bytes, "options.bucketBytes", 1);
  }
  options.running =
      ReadWord<Running>(object.Get("running"), "options.running",
                        {{"refuse", Running::kRefuse}, {"finish", Running::kFinish}, {"cancel", Running::kCancel}});
  return options;
}

const char* NameOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength: return "length";
    case FinishReason::kStop: return "stop";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kAborted: return "aborted";
    case FinishReason::kFailed: return "failed";
  }
  return "failed";
}

const char* NameOf(EngineObservation::Status status) {
  using Status = EngineObservation::Status;
  switch (status) {
    case Status::kIdle: return "idle";
    case Status::kRunning: return "running";
    case Status::kPaused: return "paused";
    case Status::kSwapping: return "swapping";
    case Status::kClosed: return "closed";
  }
  return "closed";
}

Napi::Object EventToJs(Napi::Env env, const GenerationEvent& event) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("index", ToJs(env, uint64_t{event.index}));
  switch (event.type) {
    case GenerationEvent::Type::kToken:
      object.Set("type", "token");
      object.Set("tokenId", ToJs(env, uint64_t{event.token}));
      object.Set("logprob", Napi::Number::New(env, event.logprob));
      object.Set("timeSeconds", Napi::Number::New(env, event.time_seconds));
      break;
    case GenerationEvent::Type::kFinished:
      object.Set("type", "finished");
      object.Set("reason", NameOf(event.reason));
      object.Set("promptTokens", ToJs(env, event.prompt_tokens));
      object.Set("newTokens", ToJs(env, event.new_tokens));
      object.Set("prefillSeconds", Napi::Number::New(env, event.prefill_seconds));
      object.Set("decodeSeconds", Napi::Number::New(env, event.decode_seconds));
      break;
    case GenerationEvent::Type::kError:
      object.Set("type", "error");
      object.Set("error", ToJsError(env, *event.error).Value());
      break;
  }
  return object;
}

// Hands batches of events to JavaScript, and keeps the process alive until the last request has finished.
class EventDelivery {
 public:
  EventDelivery(Napi::Env env, Napi::Function callback, size_t requests)
      : callback_(env, callback), state_(std::make_shared<State>(State{AddonInstance::Of(env).main, requests})) {}

  // Once the requests are queued.
  void KeepAlive(Napi::Env env) const { state_->main->Retain(env); }

  void operator()(std::vector<GenerationEvent> events) const {
    callback_.Call([state = state_, events = std::move(events)](Napi::Env env) -> std::vector<napi_value> {
      Napi::Array array = Napi::Array::New(env, events.size());
      for (uint32_t index = 0; index < events.size(); ++index) {
        array.Set(index, EventToJs(env, events[index]));
        if (events[index].type == GenerationEvent::Type::kFinished && --state->unfinished == 0) state->main->Release(env);
      }
      return {array};
    });
  }

 private:
  struct State {
    std::shared_ptr<MainThread> main;
    size_t unfinished;  // touched on the JavaScript thread only
  };
  JsCallback callback_;
  std::shared_ptr<State> state_;
};

}  // namespace

void NativeEngine::Register(Napi::Env env, Napi::Object exports) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeEngine::Observe>("observe"), InstanceMethod<&NativeEngine::Generate>("generate"),
       InstanceMethod<&NativeEngine::Cancel>("cancel"), InstanceMethod<&NativeEngine::Pause>("pause"),
       InstanceMethod<&NativeEngine::Continue>("continue"), InstanceMethod<&NativeEngine::Score>("score"),
       InstanceMethod<&NativeEngine::Release>("release"), InstanceMethod<&NativeEngine::Resume>("resume"),
       InstanceMethod<&NativeEngine::Swap>("swap"), InstanceMethod<&NativeEngine::Tensors>("tensors"),
       InstanceMethod<&NativeEngine::ReadTensor>("readTensor"), InstanceMethod<&NativeEngine::Save>("save"),
       InstanceMethod<&NativeEngine::ShareWeights>("shareWeights"), InstanceMethod<&NativeEngine::Close>("close")}));
  exports.Set("createEngine", Napi::Function::New<Create>(env, "createEngine"));
}

Napi::Value NativeEngine::Create(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const auto device = Unwrapped<NativeDevice>(info[0], "device").handle().device;
    NativeModel& model = Unwrapped<NativeModel>(info[1], "model");
    model.RefuseIfHandedOver();
    if (model.model()->device() != device) throw Error("bad_argument", "the model is on another device").WithField("model");
    auto engine = std::make_shared<Engine>(model.model(), ReadEngineOptions(info[2]));
    model.HandToEngine();
    return NewWrapped<NativeEngine>(info.Env(), std::move(engine));
  });
}

NativeEngine::NativeEngine(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeEngine>(info), engine_(TakeState<std::shared_ptr<Engine>>(info)) {}

NativeEngine::~NativeEngine() {
  memory_.reset();  // cancels a swap that waits for requests
  engine_->Stop();  // fails what scoring waits for
}

Napi::Value NativeEngine::Observe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const EngineObservation seen = engine_->Observe();
  Napi::Object object = Napi::Object::New(env);
  object.Set("status", NameOf(seen.status));
  object.Set("runningRequests", ToJs(env, seen.running_requests));
  object.Set("waitingRequests", ToJs(env, seen.waiting_requests));
  object.Set("weightsVersion", ToJs(env, seen.weights_version));
  object.Set("generatedTokens", ToJs(env, seen.generated_tokens));
  Napi::Object kv = Napi::Object::New(env);
  kv.Set("blockTokens", ToJs(env, seen.block_tokens));
  kv.Set("blocks", ToJs(env, seen.blocks));
  kv.Set("usedBlocks", ToJs(env, seen.used_blocks));
  kv.Set("bytesPerToken", ToJs(env, seen.bytes_per_token));
  object.Set("kv", kv);
  return object;
}

Napi::Value NativeEngine::Generate(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray()) throw Error("bad_argument", "requests must be an array").WithField("requests");
    const auto array = info[0].As<Napi::Array>();
    std::vector<GenerateRequest> requests;
    for (uint32_t index = 0; index < array.Length(); ++index) requests.push_back(ReadRequest(array.Get(index)));
    const EventDelivery delivery(info.Env(), ReadFunction(info[1], "onEvents"), requests.size());
    const uint64_t generation = engine_->Generate(requests, delivery);
    delivery.KeepAlive(info.Env());
    return ToJs(info.Env(), generation);
  });
}

void NativeEngine::Cancel(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] { engine_->Cancel(ReadInteger(info[0], "generation")); });
}

Napi::Value NativeEngine::Pause(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const auto mode = ReadWord<PauseMode>(info[0], "mode", {{"abort", PauseMode::kAbort},
                                                            {"retract", PauseMode::kRetract},
                                                            {"in_place", PauseMode::kInPlace}});
    return RunAsync(
        info.This().As<Napi::Object>(), *control_, [engine = engine_, mode] { engine->Pause(mode); }, kNothingToJs);
  });
}

Napi::Value NativeEngine::Continue(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *control_, [engine = engine_] { engine->Continue(); }, kNothingToJs);
  });
}

Napi::Value NativeEngine::Score(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *scoring_,
        [engine = engine_, prompt = ReadTokenIds(info[0], "promptIds")] { return engine->Score(prompt).get(); },
        [](Napi::Env env, const ScoreResult& result) {
          Napi::Object object = Napi::Object::New(env);
          object.Set("lastLogits", ToJs(env, result.last_logits));
          object.Set("logprobs", ToJs(env, result.logprobs));
          return object;
        });
  });
}

Napi::Value NativeEngine::Release(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *memory_,
        [engine = engine_, tag = ReadTag(info[0]), options = ReadReleaseOptions(info[1]), operation] {
          return engine->Release(tag, options, operation.ForCore());
        },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeEngine::Resume(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[1]);
    return RunAsync(
        info.This().As<Napi::Object>(), *memory_,
        [engine = engine_, tag = ReadTag(info[0]), operation] { return engine->Resume(tag, operation.ForCore()); },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeEngine::Swap(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const LongOperation operation = ReadLongOperation(info.Env(), info[0]);
    return RunAsync(
        info.This().As<Napi::Object>(), *memory_,
        [engine = engine_, options = ReadSwapOptions(info[0]), operation] {
          return engine->Swap(options, operation.ForCore());
        },
        kReceiptToJs, operation.cancellation);
  });
}

Napi::Value NativeEngine::Tensors(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return TensorViews(info.Env(), engine_->Weights()->layout()); });
}

Napi::Value NativeEngine::ReadTensor(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ReadTensorAsync(info, *memory_, engine_->Weights()); });
}

Napi::Value NativeEngine::Save(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return SaveAsync(info, *memory_, engine_->Weights()); });
}

Napi::Value NativeEngine::ShareWeights(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const std::shared_ptr<Model> weights = engine_->Weights();
    return NativeSharing::New(info.Env(), weights->LendableRegion(), info[0], TensorViews(info.Env(), weights->layout()));
  });
}

Napi::Value NativeEngine::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return RunAsync(
        info.This().As<Napi::Object>(), *control_, [engine = engine_] { engine->Close(); }, kNothingToJs);
  });
}

}  // namespace tideline
