#include "training/ppo.h"

#include <algorithm>
#include <cmath>

namespace tideline {
namespace {

constexpr double kWhitenEps = 1e-8;

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
