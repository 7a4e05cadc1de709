#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compute/host/kernels.h"  // BestKernels
#include "memory/error.h"          // Error

namespace tideline {
namespace {

// SplitMix64's finaliser: every bit of the result depends on every bit of the input.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// In [0, 1), 53 bits.
double Uniform(uint64_t seed, uint64_t step) { return static_cast<double>(Mix(Mix(seed) ^ step) >> 11) * 0x1p-53; }

void RefuseUnless(bool finite) {
  if (!finite) {
    throw Error("internal", "the model produced logits that are not numbers",
                "its weights are damaged: load or swap them again");
  }
}

uint32_t Largest(std::span<const float> logits) {
  const uint64_t index = BestKernels().argmax(logits.data(), logits.size());
  RefuseUnless(index < logits.size() && std::isfinite(logits[index]));
  return static_cast<uint32_t>(index);
}

// Tokens by falling weight, the lower number first among equals, until `most` of them are there or their weights reach
// `enough`. A heap: only what is taken is sorted.
std::vector<uint32_t> Candidates(std::span<const float> weights, uint64_t most, double enough) {
  std::vector<uint32_t> heap;
  heap.reserve(weights.size());
  for (uint32_t token = 0; token < weights.size(); ++token) {
    if (weights[token] > 0) heap.push_back(token);
  }
  const auto less = [&](uint32_t a, uint32_t b) { return weights[a] != weights[b] ? weights[a] < weights[b] : a > b; };
  std::make_heap(heap.begin(), heap.end(), less);
  std::vector<uint32_t> taken;
  double sum = 0;
  while (!heap.empty() && taken.size() < most && sum < enough) {
    std::pop_heap(heap.begin(), heap.end(), less);
    taken.push_back(heap.back());
    sum += weights[heap.back()];
    heap.pop_back();
  }
  return taken;
}

// The first token at which the running sum passes `target`.
template <typename Tokens>
uint32_t Walk(const Tokens& tokens, std::span<const float> weights, double target, uint32_t fallback) {
  double sum = 0;
  uint32_t last = fallback;
  for (const uint32_t token : tokens) {
    if (!(weights[token] > 0)) continue;
    sum += weights[token];
    last = token;
    if (sum > target) return token;
  }
  return last;
}

struct AllTokens {
  uint32_t count;
  struct Iterator {
    uint32_t token;
    uint32_t operator*() const { return token; }
    void operator++() { ++token; }
    bool operator!=(const Iterator& other) const { return token != other.token; }
  };
  Iterator begin() const { return {0}; }
  Iterator end() const { return {count}; }
};

uint32_t Sample(std::span<const float> logits, const Sampling& sampling, uint32_t largest, uint64_t step, float* scratch) {
  const float scale = static_cast<float>(1.0 / sampling.temperature);
  const double total = BestKernels().exp_sum(logits.data(), logits.size(), logits[largest], scale, scratch);
  const std::span<const float> weights(scratch, logits.size());
  const double uniform = Uniform(sampling.seed, step);
  if (sampling.top_k == 0 && sampling.top_p >= 1) {
    return Walk(AllTokens{static_cast<uint32_t>(logits.size())}, weights, uniform * total, largest);
  }
  // Top-k first; top-p then counts within what top-k kept (the order of Hugging Face's logits processors).
  const uint64_t most = sampling.top_k == 0 ? logits.size() : sampling.top_k;
  std::vector<uint32_t> kept = Candidates(weights, most, sampling.top_k == 0 ? sampling.top_p * total : INFINITY);
  double sum = 0;
  for (const uint32_t token : kept) sum += weights[token];
  if (sampling.top_k != 0 && sampling.top_p < 1) {
    const double enough = sampling.top_p * sum;
    size_t size = 0;
    for (sum = 0; size < kept.size() && sum < enough; ++size) sum += weights[kept[size]];
    kept.resize(std::max<size_t>(1, size));
  }
  return Walk(kept, weights, uniform * sum, largest);
}

}  // namespace

Choice ChooseToken(std::span<const float> logits, const Sampling& sampling, uint64_t step, float* scratch) {
  const uint32_t largest = Largest(logits);
  // Below this the second-best token has no weight in float32, and 1 / temperature would overflow.
  const bool greedy = sampling.temperature < 1e-6;
  const uint32_t token = greedy ? largest : Sample(logits, sampling, largest, step, scratch);
  return {token, LogProb(logits, token)};
}

float LogProb(std::span<const float> logits, uint32_t token) {
  const float shift = logits[Largest(logits)];
  const double sum = BestKernels().exp_sum(logits.data(), logits.size(), shift, 1.0f, nullptr);
  RefuseUnless(std::isfinite(sum));
  return static_cast<float>(static_cast<double>(logits[token]) - shift - std::log(sum));
}

}  // namespace tideline
