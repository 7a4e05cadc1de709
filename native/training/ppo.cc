#include "training/ppo.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr double kWhitenEps = 1e-8;

void RequireSize(const char* field, size_t given, size_t expected) {
  if (given == expected) return;
  throw Error("bad_argument", std::string(field) + " has " + std::to_string(given) + " entries where oldLogprobs has " +
                                  std::to_string(expected))
      .WithField(field);
}

void RequireFinite(const char* name, std::span<const double> row) {
  for (const double value : row) {
    if (std::isfinite(value)) continue;
    throw Error("not_finite", std::string(name) + " hold a NaN or an infinity", "look at the model that gave them")
        .WithTensor(name);
  }
}

}  // namespace

Row TokenRewards(std::span<const double> old_logprobs, std::span<const double> reference_logprobs, double score,
                 double kl_coefficient) {
  Row rewards(old_logprobs.size());
  for (size_t token = 0; token < rewards.size(); ++token) {
    rewards[token] = -kl_coefficient * (old_logprobs[token] - reference_logprobs[token]);
  }
  if (!rewards.empty()) rewards.back() += score;
  return rewards;
}

Row Advantages(std::span<const double> rewards, std::span<const double> values, double gamma, double lambda) {
  Row advantages(rewards.size());
  double next_value = 0, next_advantage = 0;
  for (size_t token = rewards.size(); token-- > 0;) {
    const double delta = rewards[token] + gamma * next_value - values[token];
    next_advantage = delta + gamma * lambda * next_advantage;
    next_value = values[token];
    advantages[token] = next_advantage;
  }
  return advantages;
}

void Whiten(std::vector<Row>& rows) {
  double count = 0, sum = 0;
  for (const Row& row : rows) {
    for (const double value : row) sum += value, ++count;
  }
  if (count == 0) return;
  const double mean = sum / count;
  double squares = 0;
  for (const Row& row : rows) {
    for (const double value : row) squares += (value - mean) * (value - mean);
  }
  const double scale = 1 / std::sqrt(squares / count + kWhitenEps);
  for (Row& row : rows) {
    for (double& value : row) value = (value - mean) * scale;
  }
}

BatchAdvantages ComputeAdvantages(const RolloutScores& rollouts, const AdvantageOptions& options) {
  const auto& [old_logprobs, reference, values, scores] = rollouts;
  RequireSize("referenceLogprobs", reference.size(), old_logprobs.size());
  RequireSize("values", values.size(), old_logprobs.size());
  RequireSize("scores", scores.size(), old_logprobs.size());
  RequireFinite("scores", scores);
  BatchAdvantages result;
  size_t tokens = 0;
  for (size_t row = 0; row < old_logprobs.size(); ++row) {
    RequireSize("referenceLogprobs", reference[row].size(), old_logprobs[row].size());
    RequireSize("values", values[row].size(), old_logprobs[row].size());
    RequireFinite("oldLogprobs", old_logprobs[row]);
    RequireFinite("referenceLogprobs", reference[row]);
    RequireFinite("values", values[row]);
    result.rewards.push_back(TokenRewards(old_logprobs[row], reference[row], scores[row], options.kl_coefficient));
    result.advantages.push_back(Advantages(result.rewards[row], values[row], options.gamma, options.lambda));
    result.returns.push_back(result.advantages[row]);
    for (size_t token = 0; token < values[row].size(); ++token, ++tokens) {
      result.returns[row][token] += values[row][token];
      result.mean_kl += old_logprobs[row][token] - reference[row][token];
    }
  }
  if (tokens > 0) result.mean_kl /= static_cast<double>(tokens);
  result.whitened = result.advantages;
  Whiten(result.whitened);
  return result;
}

LossTerm PolicyLossTerm(double logprob, double old_logprob, double advantage, double range) {
  const double ratio = std::exp(logprob - old_logprob);
  const double within = std::clamp(ratio, 1 - range, 1 + range);
  const double plain = -advantage * ratio, bounded = -advantage * within;
  // NaNs take the first branch, so that they show in the loss.
  if (!(bounded > plain)) return {plain, plain, std::abs(ratio - 1) > range};
  return {bounded, 0, true};
}

LossTerm ValueLossTerm(double value, double old_value, double target, double range) {
  const double within = std::clamp(value, old_value - range, old_value + range);
  const double plain = value - target, bounded = within - target;
  const bool clipped = std::abs(value - old_value) > range;
  if (!(bounded * bounded > plain * plain)) return {0.5 * plain * plain, plain, clipped};
  return {0.5 * bounded * bounded, 0, clipped};
}

}  // namespace tideline
