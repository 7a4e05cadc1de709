#include "addon/ppo.h"

#include "addon/convert.h"       // Guarded, ReadObject, ReadNumber
#include "addon/number_lists.h"  // ReadRows, ReadNumbers, ToJs
#include "training/ppo.h"        // ComputeAdvantages

namespace tideline {
namespace {

// A few numbers per token: cheap enough for the JavaScript thread.
Napi::Value PpoAdvantages(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const Napi::Object options = ReadObject(info[0], "options");
    const RolloutScores rollouts{.old_logprobs = ReadRows(options.Get("oldLogprobs"), "oldLogprobs"),
                                 .reference_logprobs = ReadRows(options.Get("referenceLogprobs"), "referenceLogprobs"),
                                 .values = ReadRows(options.Get("values"), "values"),
                                 .scores = ReadNumbers(options.Get("scores"), "scores")};
    const AdvantageOptions how{.kl_coefficient = ReadNumber(options.Get("klCoefficient"), "klCoefficient", 0, 1e6),
                               .gamma = ReadNumber(options.Get("gamma"), "gamma", 0, 1),
                               .lambda = ReadNumber(options.Get("lambda"), "lambda", 0, 1)};
    const BatchAdvantages computed = ComputeAdvantages(rollouts, how);
    Napi::Object result = Napi::Object::New(env);
    result.Set("rewards", ToJs(env, computed.rewards));
    result.Set("advantages", ToJs(env, computed.advantages));
    result.Set("whitenedAdvantages", ToJs(env, computed.whitened));
    result.Set("returns", ToJs(env, computed.returns));
    result.Set("meanKl", Napi::Number::New(env, computed.mean_kl));
    return result;
  });
}

}  // namespace

void RegisterPpo(Napi::Env env, Napi::Object exports) {
  exports.Set("ppoAdvantages", Napi::Function::New<PpoAdvantages>(env, "ppoAdvantages"));
}

}  // namespace tideline
