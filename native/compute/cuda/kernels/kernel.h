// What every kernel source begins with: how a kernel is declared, how its shared memory is, how stored numbers become
// float32, and sums over a warp or a block in a fixed order.
//
// nvcc makes a device function of TIDELINE_KERNEL. Any other compiler finds the same names in an emulation of a block of
// threads, which tests bring along: the very same source runs there, with every access and barrier checked.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/cuda/kernel_args.h"

#ifdef __CUDACC__
// One that calls WaitForEarlierKernels itself, before it touches anything that another kernel writes.
#define TIDELINE_EARLY_KERNEL(name, Args, threads) \
  extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args args)
#define TIDELINE_KERNEL(name, Args, threads)                                                        \
  static __device__ __forceinline__ void name##_body(const Args& args);                             \
  TIDELINE_EARLY_KERNEL(name, Args, threads) { WaitForEarlierKernels(), name##_body(args); }        \
  static __device__ __forceinline__ void name##_body(const Args& args)
// Of one block. `Type` is the whole variable's: float[32] through an alias.
#define TIDELINE_SHARED(Type, name) __shared__ Type name
// As many bytes as the launch says, aligned to 16.
#define TIDELINE_DYNAMIC_SHARED(name) \
  extern __shared__ float4 name##_words[]; \
  float* const name = reinterpret_cast<float*>(name##_words)
#else
#include "cuda_emulation.h"
#endif

namespace tideline::cuda {

#ifdef __CUDACC__
// In a recorded pass a kernel's blocks may come before those of the kernel before have ended (cuda_stream.h): here they wait
// until they have, and all that they wrote is seen. The next kernel's may come from now on.
__device__ __forceinline__ void WaitForEarlierKernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// 16 bytes that are read once and written by no kernel that runs meanwhile: they leave the caches to others.
__device__ __forceinline__ uint4 LoadOnce(const void* address) {
  uint4 value;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
      : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
      : "l"(address));
  return value;
}
__device__ __forceinline__ void AtomicAdd(uint32_t& target, uint32_t value) { atomicAdd(&target, value); }
#endif

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// ---------------------------------------------------------------------------------------------------------------------
// Storage types

__device__ inline float BitsToFloat(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
__device__ inline uint32_t FloatToBits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

#ifdef __CUDACC__
__device__ inline float HalfToFloat(uint16_t half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}
__device__ inline uint16_t FloatToHalf(float value) {
  uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}
#endif

template <DType kType>
struct Storage;
template <>
struct Storage<DType::kF32> {
  using Stored = float;
  static __device__ float Widen(Stored value) { return value; }
  static __device__ Stored Narrow(float value) { return value; }
};
template <>
struct Storage<DType::kF16> {
  using Stored = uint16_t;
  static __device__ float Widen(Stored value) { return HalfToFloat(value); }
  static __device__ Stored Narrow(float value) { return FloatToHalf(value); }
};
template <>
struct Storage<DType::kBF16> {
  using Stored = uint16_t;
  static __device__ float Widen(Stored value) { return BitsToFloat(uint32_t{value} << 16); }
  // To nearest even; a NaN stays one.
  static __device__ Stored Narrow(float value) {
    const uint32_t bits = FloatToBits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<Stored>((bits >> 16) | 0x40u);
    return static_cast<Stored>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
};
template <>
struct Storage<DType::kI8> {  // only ever read
  using Stored = int8_t;
  static __device__ float Widen(Stored value) { return static_cast<float>(value); }
};

template <DType kType>
__device__ inline float LoadAs(const void* values, uint64_t index) {
  using S = Storage<kType>;
  return S::Widen(static_cast<const typename S::Stored*>(values)[index]);
}
template <DType kType>
__device__ inline void StoreAs(void* values, uint64_t index, float value) {
  using S = Storage<kType>;
  static_cast<typename S::Stored*>(values)[index] = S::Narrow(value);
}
// Where the type is no constant: all threads take the same way.
__device__ inline float Load(const void* values, DType dtype, uint64_t index) {
  switch (dtype) {
    case DType::kF32: return LoadAs<DType::kF32>(values, index);
    case DType::kF16: return LoadAs<DType::kF16>(values, index);
    case DType::kBF16: return LoadAs<DType::kBF16>(values, index);
    default: return LoadAs<DType::kI8>(values, index);
  }
}
__device__ inline void Store(void* values, DType dtype, uint64_t index, float value) {
  switch (dtype) {
    case DType::kF16: return StoreAs<DType::kF16>(values, index, value);
    case DType::kBF16: return StoreAs<DType::kBF16>(values, index, value);
    default: return StoreAs<DType::kF32>(values, index, value);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Sums. Halves are exchanged, so every lane ends with the same bits.

__device__ inline unsigned Lane() { return threadIdx.x % kWarp; }
__device__ inline unsigned Warp() { return threadIdx.x / kWarp; }

// Over each `kLanes` neighbours of a warp, a power of two.
template <unsigned kLanes, typename T>
__device__ inline T LaneSum(T value) {
  for (unsigned step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}
template <unsigned kLanes>
__device__ inline float LaneMax(float value) {
  for (unsigned step = kLanes / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}
template <typename T>
__device__ inline T WarpSum(T value) { return LaneSum<kWarp>(value); }
__device__ inline float WarpMax(float value) { return LaneMax<kWarp>(value); }

// `partials` is shared and has room for one value per warp; it may be used again after the block's next barrier.
template <unsigned kThreads, typename T>
__device__ inline T BlockSum(T value, T* partials) {
  const T mine = WarpSum(value);
  if (Lane() == 0) partials[Warp()] = mine;
  __syncthreads();
  T sum = partials[0];
  for (unsigned warp = 1; warp < kThreads / kWarp; ++warp) sum += partials[warp];
  return sum;
}

}  // namespace tideline::cuda
