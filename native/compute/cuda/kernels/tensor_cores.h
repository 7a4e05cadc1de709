// What tensor cores do, one warp at a time: products of float32 numbers that are rounded to TF32 first, 10 bits after the
// leading one with float32's range, and summed in float32.
//
// A thread holds parts of three matrices. Of A (16, 8): rows r and r + 8 of columns c, then of columns c + 4. Of B (8, 8): rows
// c and c + 4 of column r. Of C (16, 8): columns 2 c and 2 c + 1 of row r, then of row r + 8. r is FragmentRow, c FragmentColumn.
#pragma once

#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

__device__ inline unsigned FragmentRow() { return Lane() / 4; }
__device__ inline unsigned FragmentColumn() { return Lane() % 4; }

#ifdef __CUDACC__
__device__ inline float ToTf32(float value) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return BitsToFloat(bits);
}

// c += a * b, of numbers that ToTf32 gave. All lanes of a warp come here together.
__device__ inline void MultiplyAdd(float (&c)[4], const float (&a)[4], const float (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(FloatToBits(a[0])), "r"(FloatToBits(a[1])), "r"(FloatToBits(a[2])), "r"(FloatToBits(a[3])),
        "r"(FloatToBits(b[0])), "r"(FloatToBits(b[1])));
}
#endif

}  // namespace tideline::cuda
