// RMS norms of whole rows: a block takes one row.
#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

TIDELINE_KERNEL(rms_norm, RmsNormArgs, kRowThreads) {
  using Partials = float[kRowThreads / kWarp];
  TIDELINE_SHARED(Partials, partials);
  const float* input = args.input + uint64_t{blockIdx.x} * args.size;
  float* output = args.output + uint64_t{blockIdx.x} * args.size;
  float squares = 0;
  const uint32_t in_fours = args.wide ? args.size : 0;
#pragma unroll 2
  for (uint32_t i = 4 * threadIdx.x; i < in_fours; i += 4 * kRowThreads) {
    const float4 x = *reinterpret_cast<const float4*>(input + i);
    squares += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
  }
  for (uint32_t i = in_fours + threadIdx.x; i < args.size; i += kRowThreads) squares += input[i] * input[i];
  squares = BlockSum<kRowThreads>(squares, partials);
  const float inverse_rms = 1.0f / sqrtf(squares / static_cast<float>(args.size) + args.eps);
#pragma unroll 2
  for (uint32_t i = 4 * threadIdx.x; i < in_fours; i += 4 * kRowThreads) {
    const float4 x = *reinterpret_cast<const float4*>(input + i);
    *reinterpret_cast<float4*>(output + i) = {x.x * inverse_rms * Load(args.weight, args.dtype, i),
                                              x.y * inverse_rms * Load(args.weight, args.dtype, i + 1),
                                              x.z * inverse_rms * Load(args.weight, args.dtype, i + 2),
                                              x.w * inverse_rms * Load(args.weight, args.dtype, i + 3)};
  }
  for (uint32_t i = in_fours + threadIdx.x; i < args.size; i += kRowThreads) {
    output[i] = input[i] * inverse_rms * Load(args.weight, args.dtype, i);
  }
}

TIDELINE_KERNEL(rms_norm_backward, RmsNormBackwardArgs, kRowThreads) {
  using Partials = float[kRowThreads / kWarp];
  TIDELINE_SHARED(Partials, square_partials);
  TIDELINE_SHARED(Partials, along_partials);
  const uint32_t target = args.target_rows ? args.target_rows[blockIdx.x] : blockIdx.x;
  const float* input = args.input + uint64_t{blockIdx.x} * args.size;
  const float* d_output = args.d_output + uint64_t{blockIdx.x} * args.size;
  float* d_input = args.d_input + uint64_t{target} * args.size;
  const float size = static_cast<float>(args.size);
  float squares = 0, along = 0;
  for (uint32_t i = threadIdx.x; i < args.size; i += kRowThreads) {
    squares += input[i] * input[i];
    along += d_output[i] * Load(args.weight, args.dtype, i) * input[i];
  }
  squares = BlockSum<kRowThreads>(squares, square_partials);
  along = BlockSum<kRowThreads>(along, along_partials);
  const float inverse_rms = 1.0f / sqrtf(squares / size + args.eps);
  const float shrink = inverse_rms * inverse_rms * inverse_rms * along / size;
  for (uint32_t i = threadIdx.x; i < args.size; i += kRowThreads) {
    d_input[i] += d_output[i] * Load(args.weight, args.dtype, i) * inverse_rms - input[i] * shrink;
  }
  if (threadIdx.x == 0) args.inverse_rms[blockIdx.x] = inverse_rms;
}

}  // namespace tideline::cuda
