// Tensors as flat lists of numbers: casts, sums of squares, and AdamW's step.
#include "compute/cuda/kernels/fours.h"

namespace tideline::cuda {

__device__ inline uint64_t FirstElement() { return uint64_t{blockIdx.x} * kRowThreads + threadIdx.x; }
__device__ inline uint64_t ElementStride() { return uint64_t{gridDim.x} * kRowThreads; }

template <DType kTarget, DType kSource>
__device__ inline void ConvertFours(const ConvertArgs& args) {
  for (uint64_t four = FirstElement(); four < args.elements / 4; four += ElementStride()) {
    StoreFour<kTarget>(args.target, four, LoadFour<kSource>(args.source, four));
  }
}

TIDELINE_KERNEL(convert, ConvertArgs, kRowThreads) {
  if (args.wide && args.source_dtype == DType::kF32 && args.target_dtype == DType::kBF16) {
    ConvertFours<DType::kBF16, DType::kF32>(args);
    return;
  }
  for (uint64_t i = FirstElement(); i < args.elements; i += ElementStride()) {
    Store(args.target, args.target_dtype, i, Load(args.source, args.source_dtype, i));
  }
}

template <DType kType>
__device__ inline void SumSquares(const SumSquaresArgs& args) {
  using Partials = double[kRowThreads / kWarp];
  TIDELINE_SHARED(Partials, partials);
  const NumberSpan range = args.ranges[blockIdx.x];
  double sum = 0;
#pragma unroll 8
  for (uint64_t i = threadIdx.x; i < range.elements; i += kRowThreads) {
    const float value = LoadAs<kType>(range.first, i);
    sum += static_cast<double>(value) * value;
  }
  sum = BlockSum<kRowThreads>(sum, partials);
  if (threadIdx.x == 0) args.sums[blockIdx.x] = sum;
}

TIDELINE_KERNEL(sum_squares_float32, SumSquaresArgs, kRowThreads) { SumSquares<DType::kF32>(args); }
TIDELINE_KERNEL(sum_squares_bfloat16, SumSquaresArgs, kRowThreads) { SumSquares<DType::kBF16>(args); }

// What a step makes of one parameter and its running means.
__device__ inline float Updated(const AdamWArgs& args, float parameter, float unscaled, float& first, float& second) {
  const float gradient = unscaled * args.gradient_scale;
  first = args.beta1 * first + (1.0f - args.beta1) * gradient;
  second = args.beta2 * second + (1.0f - args.beta2) * gradient * gradient;
  const float denominator = sqrtf(second) * args.second_scale + args.eps;
  return parameter * args.decay - args.step_size * first / denominator;
}

template <DType kStored, DType kGradients, DType kMoments>
__device__ inline void AdamW(const AdamWArgs& args) {
  if (args.wide) {
    for (uint64_t four = FirstElement(); four < args.elements / 4; four += ElementStride()) {
      const float4 gradient = LoadFour<kGradients>(args.gradients, four);
      float4 first = LoadFour<kMoments>(args.first, four), second = LoadFour<kMoments>(args.second, four);
      const float4 old = args.master ? LoadFour<DType::kF32>(args.master, four) : LoadFour<kStored>(args.stored, four);
      const float4 updated = {Updated(args, old.x, gradient.x, first.x, second.x),
                              Updated(args, old.y, gradient.y, first.y, second.y),
                              Updated(args, old.z, gradient.z, first.z, second.z),
                              Updated(args, old.w, gradient.w, first.w, second.w)};
      StoreFour<kMoments>(args.first, four, first);
      StoreFour<kMoments>(args.second, four, second);
      if (args.master) StoreFour<DType::kF32>(args.master, four, updated);
      StoreFour<kStored>(args.stored, four, updated);
    }
    return;
  }
  for (uint64_t i = FirstElement(); i < args.elements; i += ElementStride()) {
    const float old = args.master ? args.master[i] : LoadAs<kStored>(args.stored, i);
    float first = LoadAs<kMoments>(args.first, i), second = LoadAs<kMoments>(args.second, i);
    const float updated = Updated(args, old, LoadAs<kGradients>(args.gradients, i), first, second);
    StoreAs<kMoments>(args.first, i, first);
    StoreAs<kMoments>(args.second, i, second);
    if (args.master) args.master[i] = updated;
    StoreAs<kStored>(args.stored, i, updated);
  }
}

// adamw_<stored>_<gradients>_<moments>
#define TIDELINE_ADAMW(stored, gradients, moments, kStored, kGradients, kMoments)                 \
  TIDELINE_KERNEL(adamw_##stored##_##gradients##_##moments, AdamWArgs, kRowThreads) {             \
    AdamW<DType::kStored, DType::kGradients, DType::kMoments>(args);                              \
  }
#define TIDELINE_ADAMW_OF(stored, kStored)                             \
  TIDELINE_ADAMW(stored, float32, float32, kStored, kF32, kF32)        \
  TIDELINE_ADAMW(stored, float32, bfloat16, kStored, kF32, kBF16)      \
  TIDELINE_ADAMW(stored, bfloat16, float32, kStored, kBF16, kF32)      \
  TIDELINE_ADAMW(stored, bfloat16, bfloat16, kStored, kBF16, kBF16)
TIDELINE_ADAMW_OF(float32, kF32)
TIDELINE_ADAMW_OF(float16, kF16)
TIDELINE_ADAMW_OF(bfloat16, kBF16)

}  // namespace tideline::cuda
