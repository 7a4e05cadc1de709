#include "addon/trainer.h"

#include <limits>

#include "addon/convert.h"              // Guarded, ToJs
#include "addon/instance.h"             // NewWrapped
#include "addon/model.h"                // NativeModel
#include "addon/number_lists.h"         // ReadNumbers, ReadTokenIds
#include "addon/scratch.h"              // NativeScratch
#include "addon/weights.h"              // ReadModelConfig, ReadWeightDType, ReadModelHead
#include "compute/host/host_compute.h"  // HostScratchBytes

namespace tideline {
namespace {

void Set(Napi::Object object, const char* name, double value) {
  object.Set(name, Napi::Number::New(object.Env(), value));
}

TrainingLimits ReadLimits(Napi::Object object) {
  TrainingLimits limits;
  const auto read = [&](const char* name, const char* what, uint64_t& target) {
    if (const auto given = Member(object, name)) target = ReadInteger(*given, what, 1);
  };
  read("microBatch", "options.microBatch", limits.micro_batch);
  read("sequenceTokens", "options.sequenceTokens", limits.sequence_tokens);
  read("logitRows", "options.logitRows", limits.logit_rows);
  const auto flag = [&](const char* name, const char* what, bool& target) {
    if (const auto given = Member(object, name)) target = ReadBoolean(*given, what);
  };
  flag("checkpointing", "options.checkpointing", limits.checkpointing);
  flag("trainable", "options.trainable", limits.trainable);
  flag("masterWeights", "options.masterWeights", limits.master_weights);
  const auto stored = [&](const char* name, const char* what, DType& target) {
    const auto given = Member(object, name);
    if (!given) return;
    target = ReadDType(*given, what);
    if (target == DType::kF16) {
      throw Error("unsupported", std::string(what) + " is float16, in which small gradients and their squares are zero",
                  "choose float32 or bfloat16")
          .WithField(what);
    }
  };
  stored("gradientDtype", "options.gradientDtype", limits.gradients);
  stored("momentDtype", "options.momentDtype", limits.moments);
  if (const auto given = Member(object, "threads")) {
    limits.threads = static_cast<unsigned>(ReadInteger(*given, "options.threads", 1, 1024));
  }
  return limits;
}

// An array whose elements are read with `read`.
template <typename T, typename Read>
std::vector<T> ReadEach(Napi::Value value, const Read& read) {
  if (!value.IsArray()) throw Error("bad_argument", "sequences must be an array").WithField("sequences");
  const auto array = value.As<Napi::Array>();
  std::vector<T> result;
  result.reserve(array.Length());
  for (uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::HandleScope scope(value.Env());
    result.push_back(read(ReadObject(array.Get(index), "sequences[]")));
  }
  return result;
}

void ReadSequence(Napi::Object object, uint64_t default_from, TrainingSequence& sequence) {
  sequence.ids = ReadTokenIds(object.Get("ids"), "ids");
  const auto from = Member(object, "from");
  sequence.from = from ? ReadInteger(*from, "from") : default_from;
}

std::vector<TrainingSequence> ReadSequences(Napi::Value value, uint64_t default_from) {
  return ReadEach<TrainingSequence>(value, [&](Napi::Object object) {
    TrainingSequence sequence;
    ReadSequence(object, default_from, sequence);
    return sequence;
  });
}

// Options may be left out.
std::optional<Napi::Value> OptionOf(Napi::Value options, const char* name) {
  if (options.IsUndefined()) return std::nullopt;
  return Member(ReadObject(options, "options"), name);
}
void ReadLossTokens(Napi::Value options, uint64_t& target) {
  if (const auto given = OptionOf(options, "lossTokens")) target = ReadInteger(*given, "options.lossTokens", 1);
}

AdamWOptions ReadAdamW(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "options");
  AdamWOptions options;
  options.learning_rate = ReadNumber(object.Get("learningRate"), "options.learningRate", 0, 1e3);
  const auto read = [&](const char* name, const char* what, double most, double& target) {
    if (const auto given = Member(object, name)) target = ReadNumber(*given, what, 0, most);
  };
  read("beta1", "options.beta1", 0.999999, options.beta1);
  read("beta2", "options.beta2", 0.99999999, options.beta2);
  read("eps", "options.eps", 1, options.eps);
  read("weightDecay", "options.weightDecay", 1e3, options.weight_decay);
  read("maxGradientNorm", "options.maxGradientNorm", std::numeric_limits<double>::infinity(), options.max_gradient_norm);
  return options;
}

TrainerTag ReadTag(Napi::Value value) {
  return ReadWord<TrainerTag>(value, "tag",
                              {{"gradients", TrainerTag::kGradients},
                               {"optimizer", TrainerTag::kOptimizer},
                               {"activations", TrainerTag::kActivations},
                               {"logits", TrainerTag::kLogits}});
}

Napi::Value TrainingBytesOf(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object options = ReadObject(info[1], "options");
    const ModelConfig config = ReadModelConfig(info[0]);
    const DType dtype = ReadWeightDType(options.Get("dtype"), "options.dtype");
    const ModelHead head = ReadModelHead(Member(options, "head"), "options.head");
    const TrainingLimits limits = Resolved(ReadLimits(options), config);
    const ComputeLimits compute = ComputeLimitsOf(limits, config, dtype, head);
    const auto device = Member(options, "device");
    const uint64_t scratch_bytes =
        device ? ComputeScratchBytes(*Unwrapped<NativeDevice>(*device, "options.device").handle().device, compute)
               : HostScratchBytes(compute);
    const TrainingBytes bytes = TrainingMemory(config, dtype, head, limits, scratch_bytes).bytes();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("gradientsBytes", ToJs(info.Env(), bytes.gradients));
    result.Set("optimizerBytes", ToJs(info.Env(), bytes.optimizer));
    result.Set("activationsBytes", ToJs(info.Env(), bytes.activations));
    result.Set("logitsBytes", ToJs(info.Env(), bytes.logits));
    return result;
  });
}

}  // namespace

void NativeTrainer::Register(Napi::Env env, Napi::Object exports) {
  AddonInstance::Of(env).constructors[kClassName] = Napi::Persistent(DefineClass(
      env, kClassName,
      {InstanceMethod<&NativeTrainer::Observe>("observe"), InstanceMethod<&NativeTrainer::ScoreTokens>("scoreTokens"),
       InstanceMethod<&NativeTrainer::Values>("values"), InstanceMethod<&NativeTrainer::PolicyStep>("policyStep"),
       InstanceMethod<&NativeTrainer::CriticStep>("criticStep"),
       InstanceMethod<&NativeTrainer::LanguageStep>("languageStep"),
       InstanceMethod<&NativeTrainer::ZeroGradients>("zeroGradients"),
       InstanceMethod<&NativeTrainer::OptimizerStep>("optimizerStep"),
       InstanceMethod<&NativeTrainer::RestoreWeights>("restoreWeights"),
       InstanceMethod<&NativeTrainer::KeepOptimizerOnHost>("keepOptimizerOnHost"),
       InstanceMethod<&NativeTrainer::ResetOptimizer>("resetOptimizer"),
       InstanceMethod<&NativeTrainer::ReadGradient>("readGradient"), InstanceMethod<&NativeTrainer::Release>("release"),
       InstanceMethod<&NativeTrainer::Resume>("resume"), InstanceMethod<&NativeTrainer::Close>("close")}));
  exports.Set("createTrainer", Napi::Function::New<Create>(env, "createTrainer"));
  exports.Set("trainingBytes", Napi::Function::New<TrainingBytesOf>(env, "trainingBytes"));
}

Napi::Value NativeTrainer::Create(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const DeviceHandle device = Unwrapped<NativeDevice>(info[0], "device").handle();
    const Napi::Object object = ReadObject(info[1], "options");
    const NativeModel& model = Unwrapped<NativeModel>(object.Get("model"), "options.model");
    TrainerOptions options;
    options.limits = ReadLimits(object);
    options.prefix = ReadString(object.Get("consumerPrefix"), "options.consumerPrefix");
    if (const auto scratch = Member(object, "scratch")) {
      options.scratch = Unwrapped<NativeScratch>(*scratch, "options.scratch").scratch();
    }
    if (options.limits.trainable) model.RefuseIfHandedOver();
    if (model.model()->device() != device.device) {
      throw Error("bad_argument", model.model()->consumer() + " lies on another device").WithField("options.model");
    }
    return NewWrapped<NativeTrainer>(info.Env(), State{device, std::make_shared<Trainer>(model.model(), options)});
  });
}

NativeTrainer::NativeTrainer(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeTrainer>(info), state_(TakeState<State>(info)) {}

template <typename Work, typename Convert>
Napi::Value NativeTrainer::Run(const Napi::CallbackInfo& info, Napi::Value options, Work work, Convert convert) {
  const LongOperation operation = ReadLongOperation(info.Env(), options);
  return RunAsync(
      info.This().As<Napi::Object>(), *state_.device.queue,
      [trainer = state_.trainer, operation, work = std::move(work)] { return work(*trainer, operation.ForCore()); },
      std::move(convert), operation.cancellation);
}

Napi::Value NativeTrainer::Observe(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return ToJs(info.Env(), state_.trainer->Observe()); });
}

Napi::Value NativeTrainer::ScoreTokens(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info[1],
        [sequences = ReadSequences(info[0], 1)](Trainer& trainer, const Operation& operation) {
          return trainer.ScoreTokens(sequences, operation);
        },
        [](Napi::Env env, const std::vector<TokenScores>& scores) {
          Napi::Array array = Napi::Array::New(env, scores.size());
          for (uint32_t index = 0; index < scores.size(); ++index) {
            Napi::Object object = Napi::Object::New(env);
            object.Set("logprobs", ToJs(env, scores[index].logprobs));
            object.Set("entropies", ToJs(env, scores[index].entropies));
            array.Set(index, object);
          }
          return array;
        });
  });
}

Napi::Value NativeTrainer::Values(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info[1],
        [sequences = ReadSequences(info[0], 0)](Trainer& trainer, const Operation& operation) {
          return trainer.Values(sequences, operation);
        },
        [](Napi::Env env, const std::vector<std::vector<float>>& values) {
          Napi::Array array = Napi::Array::New(env, values.size());
          for (uint32_t index = 0; index < values.size(); ++index) array.Set(index, ToJs(env, values[index]));
          return array;
        });
  });
}

Napi::Value NativeTrainer::PolicyStep(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    PolicyLossOptions options;
    const Napi::Object given = ReadObject(info[1], "options");
    options.clip_range = ReadNumber(given.Get("clipRange"), "options.clipRange", 0, 1e6);
    if (const auto coefficient = Member(given, "entropyCoefficient")) {
      options.entropy_coefficient = ReadNumber(*coefficient, "options.entropyCoefficient", -1e6, 1e6);
    }
    ReadLossTokens(given, options.loss_tokens);
    auto sequences = ReadEach<PolicySequence>(info[0], [](Napi::Object object) {
      PolicySequence sequence;
      ReadSequence(object, 1, sequence);
      sequence.old_logprobs = ReadNumbers(object.Get("oldLogprobs"), "oldLogprobs");
      sequence.advantages = ReadNumbers(object.Get("advantages"), "advantages");
      return sequence;
    });
    return Run(
        info, given,
        [sequences = std::move(sequences), options](Trainer& trainer, const Operation& operation) {
          return trainer.PolicyStep(sequences, options, operation);
        },
        [](Napi::Env env, const PolicyStatistics& seen) {
          Napi::Object object = Napi::Object::New(env);
          Set(object, "loss", seen.loss);
          Set(object, "entropy", seen.entropy);
          Set(object, "clipFraction", seen.clip_fraction);
          Set(object, "approximateKl", seen.approximate_kl);
          object.Set("tokens", ToJs(env, seen.tokens));
          return object;
        });
  });
}

Napi::Value NativeTrainer::CriticStep(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    CriticLossOptions options;
    const Napi::Object given = ReadObject(info[1], "options");
    const auto range = Member(given, "clipRange");
    options.clip_range = std::numeric_limits<double>::infinity();
    if (range) options.clip_range = ReadNumber(*range, "options.clipRange", 0, 1e6);
    ReadLossTokens(given, options.loss_tokens);
    auto sequences = ReadEach<CriticSequence>(info[0], [](Napi::Object object) {
      CriticSequence sequence;
      ReadSequence(object, 0, sequence);
      sequence.old_values = ReadNumbers(object.Get("oldValues"), "oldValues");
      sequence.returns = ReadNumbers(object.Get("returns"), "returns");
      return sequence;
    });
    return Run(
        info, given,
        [sequences = std::move(sequences), options](Trainer& trainer, const Operation& operation) {
          return trainer.CriticStep(sequences, options, operation);
        },
        [](Napi::Env env, const CriticStatistics& seen) {
          Napi::Object object = Napi::Object::New(env);
          Set(object, "loss", seen.loss);
          Set(object, "clipFraction", seen.clip_fraction);
          object.Set("tokens", ToJs(env, seen.tokens));
          return object;
        });
  });
}

Napi::Value NativeTrainer::LanguageStep(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    uint64_t loss_tokens = 0;
    ReadLossTokens(info[1], loss_tokens);
    return Run(
        info, info[1],
        [sequences = ReadSequences(info[0], 1), loss_tokens](Trainer& trainer, const Operation& operation) {
          return trainer.LanguageStep(sequences, loss_tokens, operation);
        },
        [](Napi::Env env, const LanguageStatistics& seen) {
          Napi::Object object = Napi::Object::New(env);
          Set(object, "loss", seen.loss);
          object.Set("tokens", ToJs(env, seen.tokens));
          return object;
        });
  });
}

Napi::Value NativeTrainer::ZeroGradients(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info.Env().Undefined(), [](Trainer& trainer, const Operation&) { trainer.ZeroGradients(); }, kNothingToJs);
  });
}

Napi::Value NativeTrainer::OptimizerStep(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info.Env().Undefined(),
        [options = ReadAdamW(info[0])](Trainer& trainer, const Operation&) { return trainer.Update(options); },
        [](Napi::Env env, const UpdateReceipt& receipt) {
          Napi::Object object = Napi::Object::New(env);
          Set(object, "gradientNorm", receipt.gradient_norm);
          Set(object, "clipCoefficient", receipt.clip_coefficient);
          object.Set("step", ToJs(env, receipt.step));
          return object;
        });
  });
}

Napi::Value NativeTrainer::RestoreWeights(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info[0],
        [](Trainer& trainer, const Operation& operation) { return trainer.RestoreWeights(operation); }, kReceiptToJs);
  });
}

Napi::Value NativeTrainer::KeepOptimizerOnHost(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info[0],
        [](Trainer& trainer, const Operation& operation) { return trainer.KeepOptimizerOnHost(operation); },
        kReceiptToJs);
  });
}

Napi::Value NativeTrainer::ResetOptimizer(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info.Env().Undefined(), [](Trainer& trainer, const Operation&) { trainer.ResetOptimizer(); }, kNothingToJs);
  });
}

Napi::Value NativeTrainer::ReadGradient(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info.Env().Undefined(),
        [name = ReadString(info[0], "name")](Trainer& trainer, const Operation&) { return trainer.ReadGradient(name); },
        [](Napi::Env env, const std::vector<float>& values) { return ToJs(env, values); });
  });
}

Napi::Value NativeTrainer::Release(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info[1],
        [tag = ReadTag(info[0]), options = ReadReleaseOptions(info[1])](Trainer& trainer, const Operation& operation) {
          return trainer.Release(tag, options, operation);
        },
        kReceiptToJs);
  });
}

Napi::Value NativeTrainer::Resume(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info[1],
        [tag = ReadTag(info[0])](Trainer& trainer, const Operation& operation) { return trainer.Resume(tag, operation); },
        kReceiptToJs);
  });
}

Napi::Value NativeTrainer::Close(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Run(
        info, info.Env().Undefined(), [](Trainer& trainer, const Operation&) { trainer.Close(); }, kNothingToJs);
  });
}

}  // namespace tideline
