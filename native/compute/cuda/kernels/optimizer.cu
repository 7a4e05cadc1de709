// Tensors as flat lists of numbers: casts, sums of squares, and AdamW's step.
#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

__device__ inline uint64_t FirstElement() { return uint64_t{blockIdx.x} * kRowThreads + threadIdx.x; }
__device__ inline uint64_t ElementStride() { return uint64_t{gridDim.x} * kRowThreads; }

TIDELINE_KERNEL(convert, ConvertArgs, kRowThreads) {
  for (uint64_t i = FirstElement(); i < args.elements; i += ElementStride()) {
    Store(args.target, args.target_dtype, i, Load(args.source, args.source_dtype, i));
  }
}

TIDELINE_KERNEL(sum_squares, SumSquaresArgs, kRowThreads) {
  using Partials = double[kRowThreads / kWarp];
  TIDELINE_SHARED(Partials, partials);
  double sum = 0;
  for (uint64_t i = FirstElement(); i < args.elements; i += ElementStride()) {
    sum += static_cast<double>(args.values[i]) * args.values[i];
  }
  sum = BlockSum<kRowThreads>(sum, partials);
  if (threadIdx.x == 0) args.partials[blockIdx.x] = sum;
}

TIDELINE_KERNEL(sum_partials, SumPartialsArgs, kRowThreads) {
  const uint64_t range = FirstElement();
  if (range >= args.ranges) return;
  double sum = 0;
  for (unsigned i = 0; i < kSumSquaresBlocks; ++i) sum += args.partials[range * kSumSquaresBlocks + i];
  args.sums[range] = sum;
}

TIDELINE_KERNEL(adamw, AdamWArgs, kRowThreads) {
  for (uint64_t i = FirstElement(); i < args.elements; i += ElementStride()) {
    const float gradient = args.gradients[i] * args.gradient_scale;
    const float first = args.beta1 * args.first[i] + (1.0f - args.beta1) * gradient;
    const float second = args.beta2 * args.second[i] + (1.0f - args.beta2) * gradient * gradient;
    args.first[i] = first;
    args.second[i] = second;
    const float parameter = args.master ? args.master[i] : Load(args.stored, args.dtype, i);
    const float denominator = sqrtf(second) * args.second_scale + args.eps;
    const float updated = parameter * args.decay - args.step_size * first / denominator;
    if (args.master) args.master[i] = updated;
    Store(args.stored, args.dtype, i, updated);
  }
}

}  // namespace tideline::cuda
