// What native/compute/cuda/kernels/*.cu find instead of nvcc's built-ins when a host compiler compiles them: a block's
// threads are fibers (block.h), and a kernel enters itself in a list from which the double launches it.
#pragma once

#include <cmath>
#include <cstring>
#include <source_location>

#include "block.h"  // Block, Registration

#define __device__
#define __forceinline__ inline

struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

#define TIDELINE_KERNEL(name, Args, threads)                                                            \
  static void name(const Args& args);                                                                   \
  static const ::cuda_double::Registration name##_registration(                                         \
      #name, sizeof(Args), threads, [](const void* args) { name(*static_cast<const Args*>(args)); });  \
  static void name([[maybe_unused]] const Args& args)
#define TIDELINE_EARLY_KERNEL TIDELINE_KERNEL

#define TIDELINE_SHARED(Type, name) Type& name = ::cuda_double::Block::Current().Shared<Type>(__FILE__, __LINE__)
#define TIDELINE_DYNAMIC_SHARED(name) float* const name = ::cuda_double::Block::Current().DynamicShared()

#define threadIdx (::cuda_double::Block::Current().thread_index())
#define blockIdx (::cuda_double::Block::Current().block_index())
#define gridDim (::cuda_double::Block::Current().grid())

#define __syncthreads() ::cuda_double::Block::Current().Barrier(__FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, lanes) \
  ::cuda_double::Block::Current().ShuffleXor(mask, value, lanes, __FILE__, __LINE__)

namespace tideline::cuda {

// Kernels run one after the other.
inline void WaitForEarlierKernels() {}
inline uint4 LoadOnce(const void* address) { return *static_cast<const uint4*>(address); }
inline void AtomicAdd(uint32_t& target, uint32_t value) { target += value; }

// From the definition of IEEE 754's half precision.
inline float HalfToFloat(uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const float sign = half & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(float(mantissa), -24) : std::ldexp(float(1024 + mantissa), exponent - 25));
}
// To nearest even: the spacing of halves around the value, and the processor's own rounding of a quotient by it.
inline uint16_t FloatToHalf(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return sign | 0x7e00;
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const int exponent = magnitude < std::ldexp(1.0f, -14) ? -14 : std::ilogb(magnitude);
  const int units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // 1024 units carry into the exponent by themselves.
  return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + units));
}

// Float32 without its last 13 bits, to nearest, away from zero where both are as near.
inline float ToTf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x1000u) & 0xffffe000u;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

inline float Exp2(float value) { return std::exp2(value); }

// What ldmatrix reads, which takes 32-bit numbers for pairs of 16-bit ones.
inline void LoadPieces(float (&pieces)[4], const float* own, std::source_location at = std::source_location::current()) {
  ::cuda_double::Block::Fragments mine{};
  std::memcpy(mine.a, &own, sizeof own);
  const unsigned lane = threadIdx.x % 32;
  const auto* lanes = ::cuda_double::Block::Current().Collect(mine, at.file_name(), static_cast<int>(at.line()));
  for (unsigned piece = 0; piece < 4; ++piece) {
    const float* row;
    std::memcpy(&row, lanes[8 * piece + lane / 4].a, sizeof row);
    pieces[piece] = row[lane % 4];
  }
}

// The product of a warp's tensor cores (mma.sync.m16n8k8): who holds which number is as the PTX manual draws it. It reads no
// more of each number than they do.
inline void MultiplyAdd(float (&c)[4], const float (&a)[4], const float (&b)[2],
                        std::source_location at = std::source_location::current()) {
  const auto cut = [](float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits &= 0xffffe000u;
    std::memcpy(&value, &bits, sizeof bits);
    return value;
  };
  const unsigned lane = threadIdx.x % 32;
  const auto* lanes = ::cuda_double::Block::Current().Collect({{cut(a[0]), cut(a[1]), cut(a[2]), cut(a[3])}, {cut(b[0]), cut(b[1])}},
                                                              at.file_name(), static_cast<int>(at.line()));
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
    for (unsigned k = 0; k < 8; ++k) {
      c[i] += lanes[row % 8 * 4 + k % 4].a[row / 8 + 2 * (k / 4)] * lanes[column * 4 + k % 4].b[k / 4];
    }
  }
}

}  // namespace tideline::cuda
