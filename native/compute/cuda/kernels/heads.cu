// The softmax over the vocabulary: a block takes one row of logits and reads it once.
#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

// sum(exp(x - most)) and sum(exp(x - most) * (x - most)) of the values seen so far.
struct Moments {
  float most;
  double total, weighted;
};

// The same sums as seen from a larger `most`.
__device__ inline Moments From(const Moments& moments, float most) {
  if (moments.total == 0) return {most, 0, 0};
  const double lower = static_cast<double>(moments.most) - most, factor = exp(lower);
  return {most, factor * moments.total, factor * (moments.weighted + lower * moments.total)};
}

__device__ inline Moments Together(const Moments& a, const Moments& b) {
  const float most = fmaxf(a.most, b.most);
  const Moments from_a = From(a, most), from_b = From(b, most);
  return {most, from_a.total + from_b.total, from_a.weighted + from_b.weighted};
}

inline constexpr unsigned kTokenLoads = 8;

TIDELINE_KERNEL(token_statistics, TokenStatisticsArgs, kTokenThreads) {
  constexpr unsigned kWarps = kTokenThreads / kWarp;
  using PerWarp = Moments[kWarps];
  TIDELINE_SHARED(PerWarp, partials);
  const float* logits = args.logits + uint64_t{blockIdx.x} * args.vocabulary;
  Moments mine{-INFINITY, 0, 0};
  for (uint32_t first = threadIdx.x; first < args.vocabulary; first += kTokenLoads * kTokenThreads) {
    float seen[kTokenLoads];  // all under way before the first is needed
#pragma unroll
    for (unsigned load = 0; load < kTokenLoads; ++load) {
      const uint32_t i = first + load * kTokenThreads;
      seen[load] = i < args.vocabulary ? logits[i] : -INFINITY;
    }
#pragma unroll
    for (unsigned load = 0; load < kTokenLoads; ++load) {
      if (seen[load] == -INFINITY) continue;
      if (seen[load] > mine.most) mine = From(mine, seen[load]);
      const float centred = seen[load] - mine.most, term = expf(centred);
      mine.total += term;
      mine.weighted += static_cast<double>(term) * centred;
    }
  }
  for (unsigned step = kWarp / 2; step > 0; step /= 2) {
    const Moments other{__shfl_xor_sync(kAllLanes, mine.most, step), __shfl_xor_sync(kAllLanes, mine.total, step),
                        __shfl_xor_sync(kAllLanes, mine.weighted, step)};
    // Every lane adds in the same order, the lower lane's first.
    mine = Lane() & step ? Together(other, mine) : Together(mine, other);
  }
  if (Lane() == 0) partials[Warp()] = mine;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (unsigned warp = 1; warp < kWarps; ++warp) mine = Together(mine, partials[warp]);
  const double log_total = log(mine.total);
  args.log_sums[blockIdx.x] = static_cast<float>(mine.most + log_total);
  args.logprobs[blockIdx.x] =
      static_cast<float>(static_cast<double>(logits[args.targets[blockIdx.x]]) - mine.most - log_total);
  args.entropies[blockIdx.x] = static_cast<float>(log_total - mine.weighted / mine.total);
}

// A grid of (rows, vocabulary / kTokenThreads).
TIDELINE_KERNEL(token_backward, TokenBackwardArgs, kTokenThreads) {
  const uint32_t token = blockIdx.y * kTokenThreads + threadIdx.x;
  if (token >= args.vocabulary) return;
  const TokenSlope slope = args.slopes[blockIdx.x];
  float& logit = args.logits[uint64_t{blockIdx.x} * args.vocabulary + token];
  const float logprob = logit - slope.log_sum;
  const float own = token == args.targets[blockIdx.x] ? slope.for_logprob : 0.0f;
  logit = own - expf(logprob) * (slope.for_logprob + slope.for_entropy * (logprob + slope.entropy));
}

}  // namespace tideline::cuda
