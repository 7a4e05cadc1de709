// Stored numbers four at a time, 16 bytes of float32 in one load, for kernels that only stream.
#pragma once

#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

// As it is once stored.
template <DType kType>
__device__ inline float Rounded(float value) {
  return Storage<kType>::Widen(Storage<kType>::Narrow(value));
}
// Four numbers at a time, from a multiple of four on.
template <DType kType>
__device__ inline float4 LoadFour(const void* values, uint64_t four) {
  using S = Storage<kType>;
  using Stored = typename S::Stored;
  if constexpr (kType == DType::kF32) {
    return static_cast<const float4*>(values)[four];
  } else {
    struct alignas(4 * sizeof(Stored)) Packed {
      Stored of[4];
    };
    const Packed packed = static_cast<const Packed*>(values)[four];
    return {S::Widen(packed.of[0]), S::Widen(packed.of[1]), S::Widen(packed.of[2]), S::Widen(packed.of[3])};
  }
}
template <DType kType>
__device__ inline void StoreFour(void* values, uint64_t four, float4 value) {
  using S = Storage<kType>;
  using Stored = typename S::Stored;
  if constexpr (kType == DType::kF32) {
    static_cast<float4*>(values)[four] = value;
  } else {
    struct alignas(4 * sizeof(Stored)) Packed {
      Stored of[4];
    };
    static_cast<Packed*>(values)[four] = {
        {S::Narrow(value.x), S::Narrow(value.y), S::Narrow(value.z), S::Narrow(value.w)}};
  }
}

}  // namespace tideline::cuda
