// Linear layers of a few rows, as decoding has them: the weights are read once, and reading them is all the time that it
// takes. What lies before and after a layer (a norm, the gate of a feed-forward block) is done on the way, because a kernel
// of its own would take longer to start than to run.
#include "compute/cuda/generation_args.h"
#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

// The sums over a warp of kCount values, a power of two: with each exchange a lane gives away half of its values and keeps the
// sums of the others, which takes as many exchanges as there are values, not five for each. It ends with the sum of value
// Lane() / (kWarp / kCount).
template <unsigned kCount, unsigned kStep = kWarp / 2, unsigned kAll>
__device__ inline float WarpSums(float (&values)[kAll]) {
  constexpr unsigned kHalf = kCount / 2;
  if constexpr (kHalf > 0) {
    const bool upper = (Lane() & kStep) != 0;
#pragma unroll
    for (unsigned i = 0; i < kHalf; ++i) {
      const float kept = upper ? values[i + kHalf] : values[i], given = upper ? values[i] : values[i + kHalf];
      values[i] = kept + __shfl_xor_sync(kAllLanes, given, kStep);
    }
  } else {
    values[0] += __shfl_xor_sync(kAllLanes, values[0], kStep);
  }
  if constexpr (kStep > 1) return WarpSums<(kHalf > 0 ? kHalf : 1), kStep / 2>(values);
  return values[0];
}

// A block takes kOutputs rows of W; its threads stride along the inputs, 16 bytes of weights at a time. norm(x) W^T is the
// rows' inverse rms times (x * norm weight) W^T, so squares are summed beside the products.
template <DType kType, unsigned kRows, unsigned kOutputs>
__device__ inline void MatVec(const MatVecArgs& args) {
  using S = Storage<kType>;
  using Stored = typename S::Stored;
  constexpr unsigned kWide = 16 / sizeof(Stored), kWarps = kMatVecThreads / kWarp;
  const unsigned per_block = args.gated ? kOutputs / 2 : kOutputs;
  const uint32_t first = blockIdx.x * per_block;
  const unsigned outputs = args.outputs - first < per_block ? args.outputs - first : per_block;
  // What is beyond the last output is computed from the first again and not stored: cheaper than asking.
  const auto output_of = [&](unsigned o) { return first + (o % per_block < outputs ? o % per_block : 0); };
  const auto row_of_weights = [&](unsigned o) { return output_of(o) + (o < per_block ? 0 : args.outputs); };
  const auto row_of = [&](unsigned r) { return uint64_t{r < args.rows ? r : args.rows - 1} * args.inputs; };
  const Stored* weights[kOutputs];
#pragma unroll
  for (unsigned o = 0; o < kOutputs; ++o) {
    weights[o] = static_cast<const Stored*>(args.weights) + uint64_t{row_of_weights(o)} * args.inputs;
  }
  const Stored* norm = static_cast<const Stored*>(args.norm);
  float sums[kOutputs * kRows] = {}, squares[kRows] = {};
  if (args.wide) {
    uint4 packed[kOutputs];
    const auto load = [&](uint32_t i) {
#pragma unroll
      for (unsigned o = 0; o < kOutputs; ++o) packed[o] = LoadOnce(weights[o] + i);
    };
    uint32_t i = threadIdx.x * kWide;
    // Weights do not change while tokens are generated: the first come while the kernel before still runs.
    if (i < args.inputs) load(i);
    WaitForEarlierKernels();
    while (i < args.inputs) {
      uint4 of_norm{};
      if (norm) of_norm = *reinterpret_cast<const uint4*>(norm + i);
#pragma unroll
      for (unsigned part = 0; part < kWide; part += 4) {
        float widened[kOutputs][4], normed[4];
        const auto widen = [&](const uint4& from, float* to) {
          Stored stored[kWide];
          memcpy(stored, &from, sizeof stored);
#pragma unroll
          for (unsigned e = 0; e < 4; ++e) to[e] = S::Widen(stored[part + e]);
        };
#pragma unroll
        for (unsigned o = 0; o < kOutputs; ++o) widen(packed[o], widened[o]);
        if (norm) widen(of_norm, normed);
#pragma unroll
        for (unsigned r = 0; r < kRows; ++r) {
          const float4 x = *reinterpret_cast<const float4*>(args.x + row_of(r) + i + part);
          float xs[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
          for (unsigned e = 0; e < 4; ++e) {
            if (norm) {
              squares[r] += xs[e] * xs[e];
              xs[e] *= normed[e];
            }
#pragma unroll
            for (unsigned o = 0; o < kOutputs; ++o) sums[o * kRows + r] += xs[e] * widened[o][e];
          }
        }
      }
      i += kMatVecThreads * kWide;
      if (i < args.inputs) load(i);
    }
  } else {
    WaitForEarlierKernels();
#pragma unroll 1
    for (uint32_t i = threadIdx.x; i < args.inputs; i += kMatVecThreads) {
#pragma unroll
      for (unsigned r = 0; r < kRows; ++r) {
        float x = args.x[row_of(r) + i];
        if (norm) {
          squares[r] += x * x;
          x *= S::Widen(norm[i]);
        }
#pragma unroll
        for (unsigned o = 0; o < kOutputs; ++o) sums[o * kRows + r] += x * S::Widen(weights[o][i]);
      }
    }
  }

  using Partials = float[kWarps][kOutputs + 1][kRows];
  TIDELINE_SHARED(Partials, partials);
  // What a lane ends with, at the first of the lanes that have it.
  const auto put = [](float* to, float sum, unsigned count) {
    if (Lane() % (kWarp / count) == 0) to[Lane() / (kWarp / count)] = sum;
  };
  put(&partials[Warp()][0][0], WarpSums<kOutputs * kRows>(sums), kOutputs * kRows);
  if (norm) put(partials[Warp()][kOutputs], WarpSums<kRows>(squares), kRows);
  __syncthreads();
  const unsigned r = threadIdx.x / kOutputs, at = threadIdx.x % kOutputs;
  if (r >= args.rows || at >= outputs) return;
  const auto whole = [&](unsigned o) {
    float sum = partials[0][o][r];
#pragma unroll
    for (unsigned warp = 1; warp < kWarps; ++warp) sum += partials[warp][o][r];
    return sum;
  };
  const float inverse_rms = norm ? 1.0f / sqrtf(whole(kOutputs) / static_cast<float>(args.inputs) + args.eps) : 1.0f;
  const auto value_of = [&](unsigned o) {
    const uint32_t row = row_of_weights(o);
    float value = whole(o) * inverse_rms;
    if (args.scales) value *= args.scales[row];
    if (args.bias) value += Load(args.bias, args.bias_dtype, row);
    return value;
  };
  float* y = args.y + uint64_t{r} * args.outputs + first + at;
  const float value = value_of(at);
  if (args.gated) {
    *y = value / (1.0f + expf(-value)) * value_of(at + per_block);
  } else {
    *y = args.accumulate ? *y + value : value;
  }
}

// One row and long inputs: a block per output keeps most loads under way. Short inputs leave a thread too little to do for
// that, and several rows are read again for every block.
#define TIDELINE_MATVEC_OF(name, type, rows, outputs)                                              \
  TIDELINE_EARLY_KERNEL(matvec_##name##_##rows##_##outputs, MatVecArgs, kMatVecThreads) {          \
    MatVec<type, rows, outputs>(args);                                                             \
  }
#define TIDELINE_MATVEC(name, type)      \
  TIDELINE_MATVEC_OF(name, type, 1, 1)   \
  TIDELINE_MATVEC_OF(name, type, 1, 2)   \
  TIDELINE_MATVEC_OF(name, type, 1, 4)   \
  TIDELINE_MATVEC_OF(name, type, 2, 4)   \
  TIDELINE_MATVEC_OF(name, type, 4, 4)   \
  TIDELINE_MATVEC_OF(name, type, 8, 4)
TIDELINE_MATVEC(float32, DType::kF32)
TIDELINE_MATVEC(float16, DType::kF16)
TIDELINE_MATVEC(bfloat16, DType::kBF16)
TIDELINE_MATVEC(int8, DType::kI8)

// A grid of (rows, columns of y / kRowThreads).
TIDELINE_KERNEL(add_halves, AddHalvesArgs, kRowThreads) {
  const uint32_t column = blockIdx.y * kRowThreads + threadIdx.x, width = args.gated ? 2 * args.columns : args.columns;
  if (column >= args.columns) return;
  const float* high = args.halves + uint64_t{blockIdx.x} * width;
  const float* rest = high + uint64_t{args.rows} * width;
  const auto value_of = [&](uint32_t at) {
    const float value = high[at] + rest[at];
    return args.bias ? value + Load(args.bias, args.bias_dtype, at) : value;
  };
  float* y = args.y + uint64_t{blockIdx.x} * args.y_stride + column;
  const float value = value_of(column);
  if (args.gated) {
    *y = value / (1.0f + expf(-value)) * value_of(args.columns + column);
  } else {
    *y = args.accumulate ? *y + value : value;
  }
}

}  // namespace tideline::cuda
