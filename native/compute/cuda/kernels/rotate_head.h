// The rotation of one query or key, which generation and training share: a norm where the model has one, then pairs
// (d, d + half) by position. A lane of the warp owns whole pairs, so it may be done in place.
#pragma once

#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

// put(d, value) for every number of the turned head.
template <typename Put>
__device__ inline void RotateHead(const RotaryHeads& of, const float* head, const float* cosine, const float* sine,
                                  uint32_t half, const Put& put) {
  float inverse_rms = 1.0f;
  if (of.norm_weight) {
    float squares = 0;
    for (uint32_t pair = Lane(); pair < half; pair += kWarp) {
      squares += head[pair] * head[pair] + head[pair + half] * head[pair + half];
    }
    inverse_rms = 1.0f / sqrtf(WarpSum(squares) / static_cast<float>(2 * half) + of.eps);
  }
  for (uint32_t pair = Lane(); pair < half; pair += kWarp) {
    float low = head[pair], high = head[pair + half];
    if (of.norm_weight) {
      low *= inverse_rms * Load(of.norm_weight, of.norm_dtype, pair);
      high *= inverse_rms * Load(of.norm_weight, of.norm_dtype, pair + half);
    }
    put(pair, low * cosine[pair] - high * sine[pair]);
    put(pair + half, high * cosine[pair] + low * sine[pair]);
  }
}

}  // namespace tideline::cuda
