// How a token is chosen from logits: what every Compute is asked and what it answers. The random number is a hash of (seed,
// step of the request), so the same seed, prompt and weights give the same tokens whatever else is in the batch and however
// often the request was recomputed.
#pragma once

#include <cstdint>

namespace tideline {

struct Sampling {
  double temperature = 0;  // 0 is greedy
  uint64_t top_k = 0;      // 0 is off
  double top_p = 1;        // 1 is off
  uint64_t seed = 0;

  // Below this the second-best token has no weight in float32, and 1 / temperature would overflow.
  bool greedy() const { return temperature < 1e-6; }
  float scale() const { return static_cast<float>(1.0 / temperature); }
};

// One token of a request: its `step` counts from 0.
struct Draw {
  Sampling sampling;
  uint64_t step = 0;

  // In [0, 1), 53 bits.
  double Uniform() const { return static_cast<double>(Mix(Mix(sampling.seed) ^ step) >> 11) * 0x1p-53; }

 private:
  // SplitMix64's finaliser: every bit of the result depends on every bit of the input.
  static constexpr uint64_t Mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
  }
};

struct Choice {
  uint32_t token = kNoToken;
  float logprob = 0;  // of the token under the model's own distribution: temperature, top-k and top-p change nothing in it

  // Instead of a token where the logits are not numbers.
  static constexpr uint32_t kNoToken = ~uint32_t{0};
};

}  // namespace tideline
