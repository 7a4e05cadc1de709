// The parts of a CudaCompute's scratch, placed one after the other in what the user's region gives it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/compute.h"  // ComputeLimits

namespace tideline {

struct CudaScratch {
  std::byte* batch;      // DeviceBatch
  std::byte* arguments;  // what spans of one call hold; the next call may write over it, since all is in order
  float* results;        // (3, rows): what one call gives back
  float* partials;       // (kPartialFloats): sums of blocks, parts of split contexts
  uint64_t bytes;        // of all

  // At least a rotation's sums per block, sums of squares of kMostRanges ranges, and enough splits for one sequence.
  static constexpr uint64_t kPartialFloats = uint64_t{1} << 19;
  static constexpr uint64_t kMostRanges = 256;

  static CudaScratch Place(std::byte* first, const ComputeLimits& limits);
  static uint64_t ArgumentBytes(const ComputeLimits& limits);
};

}  // namespace tideline
