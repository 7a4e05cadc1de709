#include "compute/cuda/cuda_scratch.h"

#include "compute/cuda/device_batch.h"  // DeviceBatch
#include "compute/cuda/kernel_args.h"   // TokenSlope

namespace tideline {
namespace {

constexpr uint64_t kAlignment = 256;

}  // namespace

static_assert(CudaScratch::kPartialFloats >= cuda::kRotateBackwardBlocks * cuda::kMostHeadDim);
static_assert(CudaScratch::kPartialFloats * sizeof(float) >=
              CudaScratch::kMostRanges * (cuda::kSumSquaresBlocks + 1) * sizeof(double));

uint64_t CudaScratch::ArgumentBytes(const ComputeLimits& limits) {
  // Targets and slopes, or the rotation's frequencies; each part aligned.
  return limits.rows * (sizeof(uint32_t) + sizeof(cuda::TokenSlope)) + cuda::kMostHeadDim * sizeof(double) + 2 * kAlignment;
}

CudaScratch CudaScratch::Place(std::byte* first, const ComputeLimits& limits) {
  uint64_t offset = 0;
  const auto place = [&](uint64_t bytes) {
    const uint64_t at = offset;
    offset += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(first) + at);
  };
  CudaScratch scratch{};
  scratch.batch = place(DeviceBatch::MostBytes(limits));
  scratch.arguments = place(ArgumentBytes(limits));
  scratch.results = reinterpret_cast<float*>(place(3 * limits.rows * sizeof(float)));
  scratch.partials = reinterpret_cast<float*>(place(kPartialFloats * sizeof(float)));
  scratch.bytes = offset;
  return scratch;
}

}  // namespace tideline
