// The parts of a CudaCompute's scratch, placed one after the other in what the user's region gives it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/compute.h"               // ComputeLimits
#include "compute/cuda/generation_args.h"  // TokenDraw

namespace tideline {

struct CudaScratch {
  std::byte* batch;      // DeviceBatch
  std::byte* arguments;  // what spans of one call hold; the next call may write over it, since all is in order
  cuda::TokenDraw* draws;  // (sequences)
  float* results;        // (3, rows): what one call gives back
  float* partials;       // (kPartialFloats): sums of blocks, parts of split contexts
  std::byte* workspace;  // cuBLAS's
  std::byte* narrowed;   // (NarrowedElements, 16 bits each): what cuBLAS multiplies beside 16-bit weights; else parts of gradients
  uint64_t bytes;        // of all

  // At least a rotation's sums per block, sums of squares of kMostRanges ranges, and enough splits for one sequence.
  static constexpr uint64_t kPartialFloats = uint64_t{1} << 19;
  static constexpr uint64_t kMostRanges = uint64_t{1} << 15;

  // So that each matrix in `narrowed` starts at a multiple of 16 bytes, which cuBLAS reads fastest.
  static constexpr uint64_t kNarrowedAlignment = 8;

  // `workspace_bytes` 0: there is no cuBLAS, and the last two parts are empty.
  static CudaScratch Place(std::byte* first, const ComputeLimits& limits, uint64_t workspace_bytes);
  static uint64_t ArgumentBytes(const ComputeLimits& limits);
  static uint64_t NarrowedElements(const ComputeLimits& limits);
};

}  // namespace tideline
