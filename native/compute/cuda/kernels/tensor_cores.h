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

// Four pieces of shared memory, each 8 rows of 4 numbers: of every piece the thread gets column c of row r. `own` is where row
// Lane() % 8 of piece Lane() / 8 begins, a multiple of 16 bytes. All lanes of a warp come here together.
__device__ inline void LoadPieces(float (&pieces)[4], const float* own) {
  uint32_t bits[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(bits[0]), "=r"(bits[1]), "=r"(bits[2]), "=r"(bits[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(own)))
               : "memory");
#pragma unroll
  for (unsigned piece = 0; piece < 4; ++piece) pieces[piece] = BitsToFloat(bits[piece]);
}

// Two to the power of it, to within two units in the last place.
__device__ inline float Exp2(float value) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(value));
  return power;
}
#endif

}  // namespace tideline::cuda
