// The arithmetic of proximal policy optimization, apart from any model: token rewards with a penalty for leaving the
// reference, advantages, and the two clipped losses with their slopes. All in double; a sequence is its response's
// tokens, and only those, so nothing here is padded or masked.
//
// Sources: Schulman et al. 2017 (PPO, equation 7), Schulman et al. 2016 (generalized advantage estimation, equation
// 16), Ziegler et al. 2019 (the per-token penalty), and the conventions of tests/fixtures/README.md.
#pragma once

#include <span>
#include <vector>

namespace tideline {

using Row = std::vector<double>;

// -kl_coefficient * (old - reference) per token, plus the score at the last one.
Row TokenRewards(std::span<const double> old_logprobs, std::span<const double> reference_logprobs, double score,
                 double kl_coefficient);

// Generalized advantage estimation; the value after the last token is 0.
Row Advantages(std::span<const double> rewards, std::span<const double> values, double gamma, double lambda);

// Over all tokens of all rows: less their mean, divided by the square root of the population variance + 1e-8.
void Whiten(std::vector<Row>& rows);

// What a batch of rollouts gave: one row per sequence.
struct RolloutScores {
  std::vector<Row> old_logprobs, reference_logprobs, values;
  Row scores;
};
struct AdvantageOptions {
  double kl_coefficient, gamma, lambda;
};
struct BatchAdvantages {
  std::vector<Row> rewards, advantages, whitened, returns;
  double mean_kl = 0;  // over tokens, of old less reference log-prob
};
// The three above over a batch. Errors: bad_argument (with `field`) for rows of different lengths, not_finite (with
// `tensor`, the name of the input).
BatchAdvantages ComputeAdvantages(const RolloutScores& rollouts, const AdvantageOptions& options);

// One token's part of a loss that is the mean over tokens; slopes are in what the model computed.
struct LossTerm {
  double loss = 0;
  double slope = 0;
  bool clipped = false;  // the ratio, or the value, was outside the range
};

// max(-A r, -A clip(r, 1 - range, 1 + range)), r = exp(logprob - old_logprob)
LossTerm PolicyLossTerm(double logprob, double old_logprob, double advantage, double range);
// 0.5 max((v - R)^2, (clip(v, old - range, old + range) - R)^2)
LossTerm ValueLossTerm(double value, double old_value, double target, double range);

}  // namespace tideline
