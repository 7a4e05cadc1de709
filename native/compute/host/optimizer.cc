// HostCompute: what an optimizer's step asks, tensor by tensor.
#include <algorithm>

#include "compute/host/host_compute.h"
#include "compute/host/kernels.h"           // BestKernels
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// Elements of one task.
constexpr uint64_t kTaskElements = 1 << 15;
// Elements widened to float32 at once, on the stack.
constexpr uint64_t kWidenedElements = 4096;
// A square root and a division take about as long as so many multiply-adds.
constexpr uint64_t kUpdateWork = 8;

// All tensors cut into tasks.
std::vector<AdamWTensor> SlicesOf(std::span<const AdamWTensor> tensors, DType stored) {
  std::vector<AdamWTensor> slices;
  for (const AdamWTensor& tensor : tensors) {
    for (uint64_t begin = 0; begin < tensor.elements; begin += kTaskElements) {
      slices.push_back({.stored = tensor.stored + begin * DTypeBytes(stored),
                        .master = tensor.master == nullptr ? nullptr : tensor.master + begin,
                        .gradients = tensor.gradients + begin,
                        .first = tensor.first + begin,
                        .second = tensor.second + begin,
                        .elements = std::min(kTaskElements, tensor.elements - begin)});
    }
  }
  return slices;
}

}  // namespace

std::vector<double> HostCompute::SumSquares(std::span<const FloatRange> ranges) {
  std::vector<double> sums(ranges.size());
  uint64_t elements = 0;
  for (const FloatRange& range : ranges) elements += range.elements;
  Share(ranges.size(), ranges.empty() ? 0 : elements / ranges.size(), [&](uint64_t index, unsigned) {
    sums[index] = BestTrainingKernels().sum_squares(ranges[index].first, ranges[index].elements);
  });
  return sums;
}

void HostCompute::AdamW(std::span<const AdamWTensor> tensors, DType stored, const AdamWScalars& scalars) {
  const std::vector<AdamWTensor> slices = SlicesOf(tensors, stored);
  Share(slices.size(), kUpdateWork * kTaskElements, [&](uint64_t index, unsigned) {
    const AdamWTensor& slice = slices[index];
    AdamWArgs args{.parameters = stored == DType::kF32 ? reinterpret_cast<float*>(slice.stored) : slice.master,
                   .gradients = slice.gradients,
                   .first = slice.first,
                   .second = slice.second,
                   .count = slice.elements,
                   .gradient_scale = scalars.gradient_scale,
                   .beta1 = scalars.beta1,
                   .beta2 = scalars.beta2,
                   .eps = scalars.eps,
                   .decay = scalars.decay,
                   .step_size = scalars.step_size,
                   .second_scale = scalars.second_scale};
    if (args.parameters != nullptr) {
      BestTrainingKernels().adamw(args);
      if (stored != DType::kF32) {
        BestKernels().convert(slice.stored, stored, slice.master, DType::kF32, slice.elements);
      }
      return;
    }
    float widened[kWidenedElements];
    args.parameters = widened;
    for (uint64_t begin = 0; begin < slice.elements; begin += kWidenedElements) {
      args.count = std::min(kWidenedElements, slice.elements - begin);
      std::byte* at = slice.stored + begin * DTypeBytes(stored);
      BestKernels().convert(widened, DType::kF32, at, stored, args.count);
      BestTrainingKernels().adamw(args);
      BestKernels().convert(at, stored, widened, DType::kF32, args.count);
      args.gradients += args.count, args.first += args.count, args.second += args.count;
    }
  });
}

}  // namespace tideline
