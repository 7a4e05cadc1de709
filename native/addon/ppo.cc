#include "addon/ppo.h"

#include <cmath>
#include <string>

#include "addon/convert.h"       // Guarded, ReadObject, ReadNumber
#include "addon/number_lists.h"  // ReadRows, ToJs
#include "training/ppo.h"        // TokenRewards, Advantages, Whiten

namespace tideline {
namespace {

void RequireFinite(const char* what, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    for (const double value : row) {
      if (std::isfinite(value)) continue;
      throw Error("not_finite", std::string(what) + " hold a NaN or an infinity", "look at the model that gave them")
          .WithTensor(what);
    }
  }
}

// A few numbers per token: cheap enough for the JavaScript thread.
Napi::Value PpoAdvantages(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const Napi::Object options = ReadObject(info[0], "options");
    const auto old_logprobs = ReadRows(options.Get("oldLogprobs"), "oldLogprobs");
    const auto reference = ReadRows(options.Get("referenceLogprobs"), "referenceLogprobs");
    const auto values = ReadRows(options.Get("values"), "values");
    const Row scores = ReadNumbers(options.Get("scores"), "scores");
    const double kl = ReadNumber(options.Get("klCoefficient"), "klCoefficient", 0, 1e6);
    const double gamma = ReadNumber(options.Get("gamma"), "gamma", 0, 1), lambda = ReadNumber(options.Get("lambda"), "lambda", 0, 1);
    const auto require_size = [](const char* what, size_t given, size_t expected) {
      if (given == expected) return;
      throw Error("bad_argument", std::string(what) + " has " + std::to_string(given) + " entries where oldLogprobs has " +
                                      std::to_string(expected))
          .WithField(what);
    };
    const size_t count = old_logprobs.size();
    require_size("referenceLogprobs", reference.size(), count);
    require_size("values", values.size(), count);
    require_size("scores", scores.size(), count);
    RequireFinite("oldLogprobs", old_logprobs);
    RequireFinite("referenceLogprobs", reference);
    RequireFinite("values", values);
    RequireFinite("scores", {scores});

    std::vector<Row> rewards, advantages, returns;
    double drift = 0, tokens = 0;
    for (size_t row = 0; row < count; ++row) {
      require_size("referenceLogprobs", reference[row].size(), old_logprobs[row].size());
      require_size("values", values[row].size(), old_logprobs[row].size());
      rewards.push_back(TokenRewards(old_logprobs[row], reference[row], scores[row], kl));
      advantages.push_back(Advantages(rewards[row], values[row], gamma, lambda));
      returns.push_back(advantages[row]);
      for (size_t token = 0; token < returns[row].size(); ++token, ++tokens) {
        returns[row][token] += values[row][token];
        drift += old_logprobs[row][token] - reference[row][token];
      }
    }
    std::vector<Row> whitened = advantages;
    Whiten(whitened);
    Napi::Object result = Napi::Object::New(env);
    result.Set("rewards", ToJs(env, rewards));
    result.Set("advantages", ToJs(env, advantages));
    result.Set("whitenedAdvantages", ToJs(env, whitened));
    result.Set("returns", ToJs(env, returns));
    result.Set("meanKl", Napi::Number::New(env, tokens == 0 ? 0 : drift / tokens));
    return result;
  });
}

}  // namespace

void RegisterPpo(Napi::Env env, Napi::Object exports) {
  exports.Set("ppoAdvantages", Napi::Function::New<PpoAdvantages>(env, "ppoAdvantages"));
}

}  // namespace tideline
