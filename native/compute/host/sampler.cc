#include "compute/host/sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compute/host/kernels.h"  // BestKernels

namespace tideline {
namespace {

// kNoToken: none is larger than all others, or it is no number.
uint32_t Largest(std::span<const float> logits) {
  const uint64_t index = BestKernels().argmax(logits.data(), logits.size());
  return index < logits.size() && std::isfinite(logits[index]) ? static_cast<uint32_t>(index) : Choice::kNoToken;
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

uint32_t Sample(std::span<const float> logits, const Draw& draw, uint32_t largest, float* scratch) {
  const Sampling& sampling = draw.sampling;
  const double total = BestKernels().exp_sum(logits.data(), logits.size(), logits[largest], sampling.scale(), scratch);
  const std::span<const float> weights(scratch, logits.size());
  const double uniform = draw.Uniform();
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

// log softmax at `token`; no number where a logit is none.
float LogProbAt(std::span<const float> logits, uint32_t token, float largest) {
  const double sum = BestKernels().exp_sum(logits.data(), logits.size(), largest, 1.0f, nullptr);
  return std::isfinite(sum) ? static_cast<float>(static_cast<double>(logits[token]) - largest - std::log(sum)) : NAN;
}

}  // namespace

Choice ChooseToken(std::span<const float> logits, const Draw& draw, float* scratch) {
  const uint32_t largest = Largest(logits);
  if (largest == Choice::kNoToken) return {};
  const uint32_t token = draw.sampling.greedy() ? largest : Sample(logits, draw, largest, scratch);
  const float logprob = LogProbAt(logits, token, logits[largest]);
  return std::isnan(logprob) ? Choice{} : Choice{token, logprob};
}

float LogProb(std::span<const float> logits, uint32_t token) {
  const uint32_t largest = Largest(logits);
  if (largest == Choice::kNoToken) throw NotNumbers();
  const float logprob = LogProbAt(logits, token, logits[largest]);
  if (std::isnan(logprob)) throw NotNumbers();
  return logprob;
}

Error NotNumbers() {
  return Error("internal", "the model produced logits that are not numbers",
               "its weights are damaged: load or swap them again");
}

}  // namespace tideline
