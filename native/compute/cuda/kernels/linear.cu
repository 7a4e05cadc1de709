// Matrix products of any shape with float32 accumulation, forward and for both gradients. Few rows have kernels of their own
// (few_rows.cu), and large products are cuBLAS's, where it is found.
#include "compute/cuda/kernels/fours.h"

namespace tideline::cuda {

// ---------------------------------------------------------------------------------------------------------------------
// Any shape. A block computes a square tile of C, kProductSteps steps at a time through shared memory; a thread 4 x 4
// elements of it.

// How A and B lie: `kAcross` where elements of one step lie side by side (a row of the matrix is a step), else elements of
// one row or column of C's do.
enum class Lie { kAcross, kAlong };
enum class Scales { kColumns, kSteps };

// One tile of a matrix, its steps in rows; zero beyond its edges. Neighbouring threads read what lies side by side.
template <Lie kLie, typename Read>
__device__ inline void LoadTile(float (*tile)[kProductTile + 4], uint64_t first, uint64_t count, uint64_t first_step,
                                uint64_t steps, const Read& read) {
#pragma unroll
  for (unsigned at = threadIdx.x; at < kProductTile * kProductSteps; at += kProductThreads) {
    const unsigned step = kLie == Lie::kAcross ? at / kProductTile : at % kProductSteps;
    const unsigned index = kLie == Lie::kAcross ? at % kProductTile : at / kProductSteps;
    const bool inside = first + index < count && first_step + step < steps;
    tile[step][index] = inside ? read(first + index, first_step + step) : 0.0f;
  }
}

template <DType kType, Lie kA, Lie kB, Scales kScales, DType kTarget = DType::kF32>
__device__ inline void Product(const ProductArgs& args) {
  using Tile = float[kProductSteps][kProductTile + 4];
  TIDELINE_SHARED(Tile, a_tile);
  TIDELINE_SHARED(Tile, b_tile);
  const uint64_t first_row = uint64_t{blockIdx.y} * kProductTile, first_column = uint64_t{blockIdx.x} * kProductTile;
  const unsigned row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
  float sums[4][4] = {};
  for (uint64_t step = 0; step < args.steps; step += kProductSteps) {
    LoadTile<kA>(a_tile, first_row, args.rows, step, args.steps, [&](uint64_t r, uint64_t s) {
      return args.a[kA == Lie::kAcross ? s * args.rows + r : r * args.steps + s];
    });
    LoadTile<kB>(b_tile, first_column, args.columns, step, args.steps, [&](uint64_t c, uint64_t s) {
      const float value = LoadAs<kType>(args.b, kB == Lie::kAcross ? s * args.columns + c : c * args.steps + s);
      return kScales == Scales::kSteps && args.scales ? value * args.scales[s] : value;
    });
    __syncthreads();
#pragma unroll
    for (unsigned s = 0; s < kProductSteps; ++s) {
      const float4 a = *reinterpret_cast<const float4*>(&a_tile[s][row]);
      const float4 b = *reinterpret_cast<const float4*>(&b_tile[s][column]);
      const float as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (unsigned r = 0; r < 4; ++r) {
#pragma unroll
        for (unsigned c = 0; c < 4; ++c) sums[r][c] += as[r] * bs[c];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (unsigned r = 0; r < 4; ++r) {
#pragma unroll
    for (unsigned c = 0; c < 4; ++c) {
      const uint64_t i = first_row + row + r, j = first_column + column + c;
      if (i >= args.rows || j >= args.columns) continue;
      float value = kScales == Scales::kColumns && args.scales ? sums[r][c] * args.scales[j] : sums[r][c];
      if (args.bias) value += Load(args.bias, args.bias_dtype, j);
      const uint64_t target = i * args.columns + j;
      StoreAs<kTarget>(args.c, target, args.accumulate ? LoadAs<kTarget>(args.c, target) + value : value);
    }
  }
}

// y = x W^T, and d_x = d_y W: W is (outputs, inputs), its scales are per output.
#define TIDELINE_PRODUCTS(name, type)                                                   \
  TIDELINE_KERNEL(linear_forward_##name, ProductArgs, kProductThreads) {                \
    Product<type, Lie::kAlong, Lie::kAlong, Scales::kColumns>(args);                    \
  }                                                                                     \
  TIDELINE_KERNEL(linear_input_gradient_##name, ProductArgs, kProductThreads) {         \
    Product<type, Lie::kAlong, Lie::kAcross, Scales::kSteps>(args);                     \
  }
TIDELINE_PRODUCTS(float32, DType::kF32)
TIDELINE_PRODUCTS(float16, DType::kF16)
TIDELINE_PRODUCTS(bfloat16, DType::kBF16)
TIDELINE_PRODUCTS(int8, DType::kI8)

// d_w += d_y^T x
TIDELINE_KERNEL(linear_weight_gradient_float32, ProductArgs, kProductThreads) {
  Product<DType::kF32, Lie::kAcross, Lie::kAcross, Scales::kColumns>(args);
}
TIDELINE_KERNEL(linear_weight_gradient_bfloat16, ProductArgs, kProductThreads) {
  Product<DType::kF32, Lie::kAcross, Lie::kAcross, Scales::kColumns, DType::kBF16>(args);
}

// ---------------------------------------------------------------------------------------------------------------------
// For cuBLAS

TIDELINE_KERNEL(split, SplitArgs, kRowThreads) {
  if (args.wide && args.dtype == DType::kBF16) {
    constexpr DType kType = DType::kBF16;
    for (uint64_t four = uint64_t{blockIdx.x} * kRowThreads + threadIdx.x; four < args.elements / 4;
         four += uint64_t{gridDim.x} * kRowThreads) {
      const float4 value = LoadFour<DType::kF32>(args.source, four);
      StoreFour<kType>(args.high, four, value);
      const float4 high = {Rounded<kType>(value.x), Rounded<kType>(value.y), Rounded<kType>(value.z), Rounded<kType>(value.w)};
      StoreFour<kType>(args.rest, four, {value.x - high.x, value.y - high.y, value.z - high.z, value.w - high.w});
    }
    return;
  }
  for (uint64_t i = uint64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < args.elements; i += uint64_t{gridDim.x} * kRowThreads) {
    const float value = args.source[i];
    Store(args.high, args.dtype, i, value);
    const float rest = value - Load(args.high, args.dtype, i);
    Store(args.rest, args.dtype, i, rest);
    if (args.last) Store(args.last, args.dtype, i, rest - Load(args.rest, args.dtype, i));
  }
}

}  // namespace tideline::cuda
