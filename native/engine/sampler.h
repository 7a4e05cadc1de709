// Chooses the next token. The random number is a hash of (seed, step of the request), so the same seed, prompt and
// weights give the same tokens whatever else is in the batch and however often the request was recomputed.
#pragma once

#include <cstdint>
#include <span>

namespace tideline {

struct Sampling {
  double temperature = 0;  // 0 is greedy
  uint64_t top_k = 0;      // 0 is off
  double top_p = 1;        // 1 is off
  uint64_t seed = 0;
};

struct Choice {
  uint32_t token;
  float logprob;  // of the token under the model's own distribution: temperature, top-k and top-p change nothing in it
};

// `scratch` has room for one float per logit. Error: internal when a logit is NaN (damaged weights).
Choice ChooseToken(std::span<const float> logits, const Sampling& sampling, uint64_t step, float* scratch);

// log softmax of `logits` at `token`.
float LogProb(std::span<const float> logits, uint32_t token);

}  // namespace tideline
