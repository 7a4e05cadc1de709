// Adding to a gradient on the host, in float32 whatever it is stored in.
#pragma once

#include <cstdint>
#include <span>

#include "compute/compute.h"       // Gradient
#include "compute/host/kernels.h"  // BestKernels

namespace tideline {

// Elements [first + row * stride, … + columns) for each of `rows`.
struct GradientBlock {
  uint64_t first, rows, stride, columns;
};

// work(sums, stride) adds to the block: where it lies if that is float32, else in `copy`, which has room for it and is
// rounded back when all has been added.
template <typename Work>
void AddInFloat32(const Gradient& gradient, const GradientBlock& block, std::span<float> copy, const Work& work) {
  if (gradient.dtype == DType::kF32) {
    work(reinterpret_cast<float*>(gradient.first) + block.first, block.stride);
    return;
  }
  const auto row_of_copy = [&](uint64_t row) { return copy.subspan(row * block.columns, block.columns).data(); };
  const auto row_of_gradient = [&](uint64_t row) {
    return gradient.first + (block.first + row * block.stride) * DTypeBytes(gradient.dtype);
  };
  for (uint64_t row = 0; row < block.rows; ++row) {
    BestKernels().convert(row_of_copy(row), DType::kF32, row_of_gradient(row), gradient.dtype, block.columns);
  }
  work(copy.data(), block.columns);
  for (uint64_t row = 0; row < block.rows; ++row) {
    BestKernels().convert(row_of_gradient(row), gradient.dtype, row_of_copy(row), DType::kF32, block.columns);
  }
}

}  // namespace tideline
