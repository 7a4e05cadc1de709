// The next token of each row of logits, as the host's sampler chooses it (compute/host/sampler.h), so that only the token and
// its log-prob leave the device. First what is known of parts of a row, with a block each; then a block per row takes the
// largest or draws.
//
// Weights are summed as whole numbers, units of 2^-44 of the largest: a sum is the same in any order, so a draw does not
// depend on how threads share the work. A draw can fall on another token than the host's only where it lands within rounding
// of the border between two.
#include "compute/cuda/generation_args.h"
#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

// Larger for larger numbers, and for the lower token among equals; 0 for what is never the largest (NaN, -infinity).
__device__ inline uint64_t RankOf(float logit, uint32_t token) {
  if (!(logit > -INFINITY)) return 0;
  const uint32_t bits = FloatToBits(logit == 0 ? 0.0f : logit);
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{ordered} << 32 | ~token;
}
__device__ inline float LogitOf(uint64_t rank) {
  const auto ordered = static_cast<uint32_t>(rank >> 32);
  return rank == 0 ? -INFINITY : BitsToFloat(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}
__device__ inline uint64_t WarpLargest(uint64_t rank) {
  for (unsigned step = kWarp / 2; step > 0; step /= 2) {
    const uint64_t other = __shfl_xor_sync(kAllLanes, rank, step);
    rank = rank > other ? rank : other;
  }
  return rank;
}

// A grid of (parts, rows).
TIDELINE_KERNEL(logits_parts, LogitsPartsArgs, kLogitsThreads) {
  constexpr unsigned kEach = kLogitsPartTokens / kLogitsThreads, kWarps = kLogitsThreads / kWarp;
  using Ranks = uint64_t[kWarps];
  using Sums = double[kWarps];
  TIDELINE_SHARED(Ranks, ranks);
  TIDELINE_SHARED(Sums, sums);
  const float* logits = args.logits + uint64_t{blockIdx.y} * args.vocabulary;
  float mine[kEach];
  uint64_t rank = 0;
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) {
    const uint32_t token = blockIdx.x * kLogitsPartTokens + i * kLogitsThreads + threadIdx.x;
    mine[i] = token < args.vocabulary ? logits[token] : -INFINITY;
    const uint64_t other = RankOf(mine[i], token);
    rank = rank > other ? rank : other;
  }
  rank = WarpLargest(rank);
  if (Lane() == 0) ranks[Warp()] = rank;
  __syncthreads();
  rank = ranks[0];
  for (unsigned warp = 1; warp < kWarps; ++warp) rank = rank > ranks[warp] ? rank : ranks[warp];
  const float largest = LogitOf(rank);
  double sum = 0;
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) {
    // A NaN stays one.
    sum += mine[i] == -INFINITY ? 0.0f : expf(mine[i] - largest);
  }
  sum = BlockSum<kLogitsThreads>(sum, sums);
  if (threadIdx.x > 0) return;
  args.parts[uint64_t{blockIdx.y} * args.parts_each + blockIdx.x] = {sum, largest, ~static_cast<uint32_t>(rank)};
}

// ---------------------------------------------------------------------------------------------------------------------
// Drawing

struct Weights {
  const float* logits;
  uint32_t vocabulary;
  float largest, scale;

  __device__ float operator[](uint32_t token) const { return expf((logits[token] - largest) * scale); }
};
__device__ inline uint64_t UnitsOf(float weight) { return static_cast<uint64_t>(weight * 0x1p44f); }

// Of all threads; all get it.
__device__ inline uint64_t SumOfBlock(uint64_t mine) {
  using Sums = uint64_t[kChooseThreads / kWarp];
  TIDELINE_SHARED(Sums, sums);
  const uint64_t sum = BlockSum<kChooseThreads>(mine, sums);
  __syncthreads();
  return sum;
}

// What is asked about each of the first tokens, summed.
template <typename Asked>
__device__ inline uint64_t SumOver(uint32_t tokens, const Asked& asked) {
  uint64_t sum = 0;
#pragma unroll 4
  for (uint32_t token = threadIdx.x; token < tokens; token += kChooseThreads) sum += asked(token);
  return SumOfBlock(sum);
}

// The first token, in the order of their numbers, at which the running sum of amounts passes `limit`, which is less than all.
template <typename Asked>
__device__ inline uint32_t TokenAt(uint32_t vocabulary, uint64_t limit, const Asked& amount) {
  constexpr unsigned kWarps = kChooseThreads / kWarp;
  using Sums = uint64_t[kWarps];
  TIDELINE_SHARED(Sums, sums);
  uint32_t begin = 0, end = vocabulary;
  uint64_t before = 0;
  // Each warp sums a part; the one in which the limit lies is cut further.
  while (end - begin > kWarp) {
    const uint32_t each = ((end - begin + kWarps - 1) / kWarps + kWarp - 1) / kWarp * kWarp;
    const uint32_t first = begin + Warp() * each, last = first + each < end ? first + each : end;
    uint64_t sum = 0;
#pragma unroll 4
    for (uint32_t token = first + Lane(); token < last; token += kWarp) sum += amount(token);
    sum = WarpSum(sum);
    if (Lane() == 0) sums[Warp()] = sum;
    __syncthreads();
    unsigned part = 0;
    while (part + 1 < kWarps && before + sums[part] <= limit) before += sums[part++];
    __syncthreads();
    begin += part * each;
    end = begin + each < end ? begin + each : end;
  }
  uint32_t token = begin;
  for (; token + 1 < end; ++token) {
    before += amount(token);
    if (before > limit) break;
  }
  return token;
}

// A weight in (0, 1] as a whole number below 2^24 times a power of two that all weights of its exponent share.
struct Exponent {
  uint32_t biased;

  // Of one unit: 2^21 of the smallest of weights that have more bits than that.
  __device__ unsigned shift() const { return biased > kUnitExponent ? biased - kUnitExponent : 0; }
  __device__ uint32_t Small(float weight) const { return static_cast<uint32_t>(UnitsOf(weight) >> shift()); }
  static constexpr uint32_t kUnitExponent = 127 - 44 + 23;
};

// What is summed: weights, or each as one.
enum class Amount { kUnits, kOne };
template <Amount kAmount>
__device__ inline uint64_t AmountOf(float weight) {
  return kAmount == Amount::kUnits ? UnitsOf(weight) : weight > 0 ? 1 : 0;
}

// The first token by falling weight, the lower number first among equals, at which the running sum of amounts passes `limit`,
// which is less than all. The bits of weights are ordered as they are: first the exponent is found, then some bits of the rest
// at a time.
struct SortedPlace {
  uint32_t token, bits;
};
template <Amount kAmount>
__device__ inline SortedPlace SortedAt(const Weights& weights, uint64_t limit) {
  constexpr uint32_t kMantissaBits = 23, kOne = 127;
  uint64_t before = 0;  // the sum of the amounts of all that are larger

  // Most weights have one of a few exponents, on which the threads of a histogram would wait for one another: each sums its own.
  constexpr unsigned kExponents = 8;
  uint32_t exponent = kOne;
  for (bool found = false; !found;) {
    uint64_t sums[kExponents] = {};
#pragma unroll 2
    for (uint32_t token = threadIdx.x; token < weights.vocabulary; token += kChooseThreads) {
      const float weight = weights[token];
      const uint32_t below = exponent - (FloatToBits(weight) >> kMantissaBits);
      const uint64_t amount = AmountOf<kAmount>(weight);
#pragma unroll
      for (unsigned e = 0; e < kExponents; ++e) sums[e] += below == e ? amount : 0;
    }
#pragma unroll
    for (unsigned e = 0; e < kExponents; ++e) {
      const uint64_t sum = SumOfBlock(sums[e]);
      if (found) continue;  // all threads alike
      found = before + sum > limit || exponent == 0;
      if (!found) before += sum, --exponent;
    }
  }

  // Sums of two halves of the amounts, for which shared memory has additions of its own.
  constexpr unsigned kBins = 256, kHalf = 12;
  using Bins = uint32_t[kBins];
  TIDELINE_SHARED(Bins, low_bins);
  TIDELINE_SHARED(Bins, high_bins);
  const Exponent of{exponent};
  const unsigned shift = kAmount == Amount::kUnits ? of.shift() : 0;
  uint32_t bits = exponent << kMantissaBits;
  unsigned known = kMantissaBits;  // bits from this one on are known
#pragma unroll 1
  while (known > 0) {
    const unsigned width = known < 8 ? known : 8, next = known - width;
    for (unsigned at = threadIdx.x; at < kBins; at += kChooseThreads) low_bins[at] = 0, high_bins[at] = 0;
    __syncthreads();
#pragma unroll 4
    for (uint32_t token = threadIdx.x; token < weights.vocabulary; token += kChooseThreads) {
      const float weight = weights[token];
      const uint32_t its = FloatToBits(weight);
      if (its >> known != bits >> known) continue;
      const uint32_t amount = kAmount == Amount::kUnits ? of.Small(weight) : static_cast<uint32_t>(AmountOf<kAmount>(weight));
      const unsigned bin = its >> next & ((1u << width) - 1);
      AtomicAdd(low_bins[bin], amount & ((1u << kHalf) - 1));
      if (kAmount == Amount::kUnits) AtomicAdd(high_bins[bin], amount >> kHalf);
    }
    __syncthreads();
    unsigned digit = (1u << width) - 1;
    while (digit > 0) {
      const uint64_t sum = (low_bins[digit] + (uint64_t{high_bins[digit]} << kHalf)) << shift;
      if (before + sum > limit) break;
      before += sum;
      --digit;
    }
    bits |= digit << next;
    known = next;
    __syncthreads();
  }
  const uint32_t token = TokenAt(weights.vocabulary, limit - before, [&](uint32_t token) {
    const float weight = weights[token];
    return FloatToBits(weight) == bits ? AmountOf<kAmount>(weight) : 0;
  });
  return {token, bits};
}

__device__ inline uint64_t PartOf(double share, uint64_t sum) {
  const double part = share * static_cast<double>(sum);
  return part > 0 ? static_cast<uint64_t>(part) : 0;
}

// What is kept are the first by falling weight, up to the one given.
__device__ inline uint64_t KeptUnits(const Weights& weights, const SortedPlace& last) {
  const uint64_t equal = SumOver(last.token + 1, [&](uint32_t token) -> uint64_t {
    return FloatToBits(weights[token]) == last.bits;
  });
  const uint64_t larger = SumOver(weights.vocabulary, [&](uint32_t token) -> uint64_t {
    const float weight = weights[token];
    return FloatToBits(weight) > last.bits ? UnitsOf(weight) : 0;
  });
  return larger + equal * UnitsOf(BitsToFloat(last.bits));
}

__device__ inline uint32_t DrawToken(const Weights& weights, const TokenDraw& draw) {
  const auto units = [&](uint32_t token) { return UnitsOf(weights[token]); };
  const auto below = [](uint64_t limit, uint64_t sum) { return limit < sum ? limit : sum - 1; };
  uint64_t kept = SumOver(weights.vocabulary, units);
  if (draw.top_k == 0 && draw.top_p >= 1) {
    return TokenAt(weights.vocabulary, below(PartOf(draw.uniform, kept), kept), units);
  }
  // Top-k first; top-p then counts within what top-k kept.
  if (draw.top_k > 0) {
    const uint64_t all = SumOver(weights.vocabulary, [&](uint32_t token) { return AmountOf<Amount::kOne>(weights[token]); });
    if (draw.top_k < all) kept = KeptUnits(weights, SortedAt<Amount::kOne>(weights, draw.top_k - 1));
  }
  if (draw.top_p < 1) {
    const uint64_t enough = PartOf(draw.top_p, kept);
    kept = KeptUnits(weights, SortedAt<Amount::kUnits>(weights, below(enough > 0 ? enough - 1 : 0, kept)));
  }
  return SortedAt<Amount::kUnits>(weights, below(PartOf(draw.uniform, kept), kept)).token;
}

// A block per row.
TIDELINE_KERNEL(choose, ChooseArgs, kChooseThreads) {
  const LogitsPart* parts = args.parts + uint64_t{blockIdx.x} * args.parts_each;
  const float* logits = args.logits + uint64_t{blockIdx.x} * args.vocabulary;
  uint64_t rank = 0;
  for (uint32_t part = Lane(); part < args.parts_each; part += kWarp) {
    const uint64_t other = RankOf(parts[part].largest, parts[part].token);
    rank = rank > other ? rank : other;
  }
  rank = WarpLargest(rank);
  const float largest = LogitOf(rank);
  double sum = 0;
  for (uint32_t part = Lane(); part < args.parts_each; part += kWarp) {
    // Nothing but -infinity has no sum, and NaN is passed on.
    const LogitsPart& of = parts[part];
    sum += of.sum == 0 ? 0 : of.sum * exp(static_cast<double>(of.largest) - largest);
  }
  sum = WarpSum(sum);
  uint32_t token = ~static_cast<uint32_t>(rank);
  const bool numbers = rank > 0 && largest < INFINITY && sum < INFINITY;  // not for NaN
  const float scale = args.draws ? args.draws[blockIdx.x].scale : 0.0f;
  if (numbers && scale > 0) token = DrawToken({logits, args.vocabulary, largest, scale}, args.draws[blockIdx.x]);
  if (threadIdx.x > 0) return;
  args.chosen[blockIdx.x] = {numbers ? token : kNoToken,
                             numbers ? static_cast<float>(static_cast<double>(logits[token]) - largest - log(sum)) : 0.0f};
}

}  // namespace tideline::cuda
