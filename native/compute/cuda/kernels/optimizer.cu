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

TIDELINE_KERNEL(sum_squares, SumSquaresArgs, kRowThreads) {
  using Partials = double[kRowThreads / kWarp];
  TIDELINE_SHARED(Partials, partials);
  const FloatSpan range = args.ranges[blockIdx.x];
  double sum = 0;
#pragma unroll 8
  for (uint64_t i = threadIdx.x; i < range.elements; i += kRowThreads) {
    const float value = range.first[i];
    sum += static_cast<double>(value) * value;
  }
  sum = BlockSum<kRowThreads>(sum, partials);
  if (threadIdx.x == 0) args.sums[blockIdx.x] = sum;
}

// What a step makes of one parameter and its running means.
__device__ inline float Updated(const AdamWArgs& args, float parameter, float unscaled, float& first, float& second) {
  const float gradient = unscaled * args.gradient_scale;
  first = args.beta1 * first + (1.0f - args.beta1) * gradient;
  second = args.beta2 * second + (1.0f - args.beta2) * gradient * gradient;
  const float denominator = sqrtf(second) * args.second_scale + args.eps;
  return parameter * args.decay - args.step_size * first / denominator;
}

template <DType kType>
__device__ inline void AdamW(const AdamWArgs& args) {
  if (args.wide) {
    for (uint64_t four = FirstElement(); four < args.elements / 4; four += ElementStride()) {
      const float4 gradient = LoadFour<DType::kF32>(args.gradients, four);
      float4 first = LoadFour<DType::kF32>(args.first, four), second = LoadFour<DType::kF32>(args.second, four);
      const float4 old = args.master ? LoadFour<DType::kF32>(args.master, four) : LoadFour<kType>(args.stored, four);
      const float4 updated = {Updated(args, old.x, gradient.x, first.x, second.x),
                              Updated(args, old.y, gradient.y, first.y, second.y),
                              Updated(args, old.z, gradient.z, first.z, second.z),
                              Updated(args, old.w, gradient.w, first.w, second.w)};
      StoreFour<DType::kF32>(args.first, four, first);
      StoreFour<DType::kF32>(args.second, four, second);
      if (args.master) StoreFour<DType::kF32>(args.master, four, updated);
      StoreFour<kType>(args.stored, four, updated);
    }
    return;
  }
  for (uint64_t i = FirstElement(); i < args.elements; i += ElementStride()) {
    const float old = args.master ? args.master[i] : LoadAs<kType>(args.stored, i);
    const float updated = Updated(args, old, args.gradients[i], args.first[i], args.second[i]);
    if (args.master) args.master[i] = updated;
    StoreAs<kType>(args.stored, i, updated);
  }
}

TIDELINE_KERNEL(adamw_float32, AdamWArgs, kRowThreads) { AdamW<DType::kF32>(args); }
TIDELINE_KERNEL(adamw_float16, AdamWArgs, kRowThreads) { AdamW<DType::kF16>(args); }
TIDELINE_KERNEL(adamw_bfloat16, AdamWArgs, kRowThreads) { AdamW<DType::kBF16>(args); }

}  // namespace tideline::cuda
