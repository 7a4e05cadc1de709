// Queries and keys: a norm per head where the model has one, then the rotation of pairs (d, d + half) by position. A warp
// takes one head of one row; a lane owns whole pairs, so it may work in place.
#include "compute/cuda/kernels/kernel.h"
#include "compute/cuda/kernels/rotate_head.h"

namespace tideline::cuda {

TIDELINE_KERNEL(rotate, RotateArgs, kRotateThreads) {
  const uint64_t vector = uint64_t{blockIdx.x} * (kRotateThreads / kWarp) + Warp();
  if (vector >= uint64_t{args.rows} * args.of.heads) return;  // the whole warp
  const uint64_t row = vector / args.of.heads, column = args.of.first_column + vector % args.of.heads * args.head_dim;
  const uint32_t half = args.head_dim / 2;
  float* head = args.qkv + row * args.qkv_stride + column;
  if (args.raw_qk) {
    float* raw = args.raw_qk + row * args.raw_stride + column;
    for (uint32_t pair = Lane(); pair < half; pair += kWarp) raw[pair] = head[pair], raw[pair + half] = head[pair + half];
  }
  RotateHead(args.of, head, args.cosine + row * half, args.sine + row * half, half,
             [&](uint32_t d, float value) { head[d] = value; });
}

// Warps go through heads by strides, so each lane sums what its pairs add to the norm's weight; the block's sum is left for
// column_sums.
TIDELINE_KERNEL(rotate_backward, RotateBackwardArgs, kRotateBackwardThreads) {
  constexpr unsigned kWarps = kRotateBackwardThreads / kWarp, kPairs = kMostHeadDim / 2 / kWarp;
  using Partials = float[kWarps][kMostHeadDim];
  TIDELINE_SHARED(Partials, partials);
  const uint32_t half = args.head_dim / 2;
  const float size = static_cast<float>(args.head_dim);
  const bool normed = args.of.norm_weight != nullptr;
  float d_low[kPairs] = {}, d_high[kPairs] = {};
  const uint64_t vectors = uint64_t{args.rows} * args.of.heads, stride = uint64_t{gridDim.x} * kWarps;
  for (uint64_t vector = uint64_t{blockIdx.x} * kWarps + Warp(); vector < vectors; vector += stride) {
    const uint64_t row = vector / args.of.heads, column = args.of.first_column + vector % args.of.heads * args.head_dim;
    float* gradient = args.d_qkv + row * args.qkv_stride + column;
    const float* raw = normed ? args.raw_qk + row * args.raw_stride + column : nullptr;
    float squares = 0, along = 0;
    for (uint32_t pair = Lane(); pair < half; pair += kWarp) {
      const float cosine = args.cosine[row * half + pair], sine = args.sine[row * half + pair];
      const float low = gradient[pair] * cosine + gradient[pair + half] * sine;
      const float high = gradient[pair + half] * cosine - gradient[pair] * sine;
      gradient[pair] = low;
      gradient[pair + half] = high;
      if (!normed) continue;
      squares += raw[pair] * raw[pair] + raw[pair + half] * raw[pair + half];
      along += low * raw[pair] * Load(args.of.norm_weight, args.of.norm_dtype, pair) +
               high * raw[pair + half] * Load(args.of.norm_weight, args.of.norm_dtype, pair + half);
    }
    if (!normed) continue;
    const float inverse_rms = 1.0f / sqrtf(WarpSum(squares) / size + args.of.eps);
    const float shrink = inverse_rms * inverse_rms * inverse_rms * WarpSum(along) / size;
#pragma unroll
    for (unsigned i = 0; i < kPairs; ++i) {
      const uint32_t pair = Lane() + i * kWarp;
      if (pair >= half) break;
      const float low = gradient[pair], high = gradient[pair + half];
      d_low[i] += low * raw[pair] * inverse_rms;
      d_high[i] += high * raw[pair + half] * inverse_rms;
      gradient[pair] = low * Load(args.of.norm_weight, args.of.norm_dtype, pair) * inverse_rms - raw[pair] * shrink;
      gradient[pair + half] =
          high * Load(args.of.norm_weight, args.of.norm_dtype, pair + half) * inverse_rms - raw[pair + half] * shrink;
    }
  }
  if (!normed) return;
#pragma unroll
  for (unsigned i = 0; i < kPairs; ++i) {
    const uint32_t pair = Lane() + i * kWarp;
    if (pair >= half) break;
    partials[Warp()][pair] = d_low[i];
    partials[Warp()][pair + half] = d_high[i];
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < args.head_dim; i += kRotateBackwardThreads) {
    float sum = 0;
    for (unsigned warp = 0; warp < kWarps; ++warp) sum += partials[warp][i];
    args.d_weights[uint64_t{blockIdx.x} * args.head_dim + i] = sum;
  }
}

}  // namespace tideline::cuda
