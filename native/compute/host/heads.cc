// HostCompute: what a language model's head and a value head ask, row by row.
#include <cmath>

#include "compute/host/gradient.h"  // AddInFloat32
#include "compute/host/host_compute.h"
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// An exponential takes about as long as so many multiply-adds.
constexpr uint64_t kExponentialWork = 8;

// The softmax of one row of logits.
struct RowStatistics {
  float log_sum, logprob, entropy;
};

RowStatistics Measure(const float* logits, uint64_t vocabulary, uint32_t target) {
  const float most = BestTrainingKernels().max(logits, vocabulary);
  double total = 0, weighted = 0;
  BestTrainingKernels().exp_moments(logits, vocabulary, most, &total, &weighted);
  const double log_total = std::log(total);
  return {.log_sum = static_cast<float>(most + log_total),
          .logprob = static_cast<float>(static_cast<double>(logits[target]) - most - log_total),
          .entropy = static_cast<float>(log_total - weighted / total)};
}

}  // namespace

void HostCompute::TokenStatistics(const float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                                  std::span<float> log_sums, std::span<float> logprobs, std::span<float> entropies) {
  Share(targets.size(), kExponentialWork * vocabulary, [&](uint64_t row, unsigned) {
    const RowStatistics seen = Measure(logits + row * vocabulary, vocabulary, targets[row]);
    log_sums[row] = seen.log_sum;
    logprobs[row] = seen.logprob;
    entropies[row] = seen.entropy;
  });
}

void HostCompute::TokenBackward(float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                                std::span<const float> log_sums, std::span<const float> entropies,
                                std::span<const TokenSlopes> slopes) {
  Share(targets.size(), kExponentialWork * vocabulary, [&](uint64_t row, unsigned) {
    float* at = logits + row * vocabulary;
    BestTrainingKernels().token_backward(at, vocabulary, log_sums[row], slopes[row].for_logprob, slopes[row].for_entropy,
                                         entropies[row]);
    at[targets[row]] += slopes[row].for_logprob;
  });
}

void HostCompute::RowProducts(const NormWeights& weight, const float* input, std::span<float> values) {
  const auto* factors = reinterpret_cast<const float*>(weight.weight);
  for (size_t row = 0; row < values.size(); ++row) {
    values[row] = BestTrainingKernels().dot(input + row * weight.size, factors, weight.size);
  }
}

void HostCompute::RowProductsBackward(const NormWeights& weight, const float* input, std::span<const float> slopes,
                                      const Gradient& d_weight, float* d_input) {
  const auto* factors = reinterpret_cast<const float*>(weight.weight);
  std::vector<float> copy(weight.size);
  AddInFloat32(d_weight, {0, 1, weight.size, weight.size}, copy, [&](float* sums, uint64_t) {
    for (size_t row = 0; row < slopes.size(); ++row) {
      for (uint64_t i = 0; i < weight.size; ++i) {
        sums[i] += slopes[row] * input[row * weight.size + i];
        d_input[row * weight.size + i] = slopes[row] * factors[i];
      }
    }
  });
}

}  // namespace tideline
