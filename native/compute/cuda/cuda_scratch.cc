#include "compute/cuda/cuda_scratch.h"

#include <algorithm>

#include "compute/cuda/cublas.h"        // Cublas
#include "compute/cuda/device_batch.h"  // DeviceBatch
#include "compute/cuda/kernel_args.h"   // TokenSlope

namespace tideline {
namespace {

constexpr uint64_t kPartAlignment = 256;
// Beyond this, rows are taken in parts: a weight gradient then reads and writes its sum once for each.
constexpr uint64_t kMostNarrowedElements = uint64_t{64} << 20;

}  // namespace

static_assert(CudaScratch::kPartialFloats >= cuda::kRotateBackwardBlocks * cuda::kMostHeadDim);
static_assert(CudaScratch::kPartialFloats * sizeof(float) >=
              CudaScratch::kMostRanges * (sizeof(cuda::NumberSpan) + sizeof(double)));

uint64_t CudaScratch::ArgumentBytes(const ComputeLimits& limits) {
  // Targets and slopes, or the rotation's frequencies; each part aligned.
  return limits.rows * (sizeof(uint32_t) + sizeof(cuda::TokenSlope)) + cuda::kMostHeadDim * sizeof(double) + 2 * kPartAlignment;
}

uint64_t CudaScratch::NarrowedElements(const ComputeLimits& limits) {
  if (limits.weights == DType::kF32) return 0;
  const uint64_t row = 2 * limits.widest_input;  // two parts, or both operands of a weight gradient
  const uint64_t largest = limits.product_elements > 0 ? limits.product_elements + kNarrowedAlignment : limits.rows * row;
  return std::max(row, std::min(largest, kMostNarrowedElements)) + kNarrowedAlignment;
}

CudaScratch CudaScratch::Place(std::byte* first, const ComputeLimits& limits, uint64_t workspace_bytes) {
  uint64_t offset = 0;
  const auto place = [&](uint64_t bytes) {
    const uint64_t at = offset;
    offset += (bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment;
    return reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(first) + at);
  };
  CudaScratch scratch{};
  scratch.batch = place(DeviceBatch::MostBytes(limits));
  scratch.arguments = place(ArgumentBytes(limits));
  scratch.draws = reinterpret_cast<cuda::TokenDraw*>(place(limits.sequences * sizeof(cuda::TokenDraw)));
  scratch.results = reinterpret_cast<float*>(place(3 * limits.rows * sizeof(float)));
  scratch.partials = reinterpret_cast<float*>(place(kPartialFloats * sizeof(float)));
  if (workspace_bytes > 0) {
    // Its alignment is of addresses, and the region's parts are aligned to less.
    constexpr uintptr_t kAligned = Cublas::kWorkspaceAlignment;
    const auto unaligned = reinterpret_cast<uintptr_t>(place(workspace_bytes + kAligned));
    scratch.workspace = reinterpret_cast<std::byte*>((unaligned + kAligned - 1) / kAligned * kAligned);
    scratch.narrowed = place(NarrowedElements(limits) * sizeof(uint16_t));
  }
  scratch.bytes = offset;
  return scratch;
}

}  // namespace tideline
