// HostCompute: what an optimizer's step asks, tensor by tensor.
#include <algorithm>
#include <type_traits>

#include "compute/host/host_compute.h"
#include "compute/host/kernels.h"           // BestKernels
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// Elements of one task.
constexpr uint64_t kTaskElements = 1 << 15;
// Elements widened to float32 at once, on the stack.
constexpr uint64_t kWidenedElements = 2048;
// A square root and a division take about as long as so many multiply-adds.
constexpr uint64_t kUpdateWork = 8;

// All tensors cut into tasks.
std::vector<AdamWTensor> SlicesOf(std::span<const AdamWTensor> tensors, const AdamWTypes& types) {
  std::vector<AdamWTensor> slices;
  for (const AdamWTensor& tensor : tensors) {
    for (uint64_t begin = 0; begin < tensor.elements; begin += kTaskElements) {
      slices.push_back({.stored = tensor.stored + begin * DTypeBytes(types.stored),
                        .master = tensor.master == nullptr ? nullptr : tensor.master + begin,
                        .gradients = tensor.gradients + begin * DTypeBytes(types.gradients),
                        .first = tensor.first + begin * DTypeBytes(types.moments),
                        .second = tensor.second + begin * DTypeBytes(types.moments),
                        .elements = std::min(kTaskElements, tensor.elements - begin)});
    }
  }
  return slices;
}

// Numbers as float32, some at a time: where they lie if that is what they are, else in a copy.
template <typename Byte>
class Widened {
 public:
  Widened(Byte* first, DType dtype) : next_(first), dtype_(dtype) {}

  // The next ones.
  auto Take(uint64_t count) {
    using Float = std::conditional_t<std::is_const_v<Byte>, const float, float>;
    at_ = next_, count_ = count;
    next_ += count * DTypeBytes(dtype_);
    if (dtype_ == DType::kF32) return reinterpret_cast<Float*>(at_);
    BestKernels().convert(copy_, DType::kF32, at_, dtype_, count);
    return static_cast<Float*>(copy_);
  }
  void PutBack() const {
    if (dtype_ != DType::kF32) BestKernels().convert(at_, dtype_, copy_, DType::kF32, count_);
  }

 private:
  Byte *next_, *at_ = nullptr;
  uint64_t count_ = 0;
  const DType dtype_;
  float copy_[kWidenedElements];
};

}  // namespace

std::vector<double> HostCompute::SumSquares(std::span<const NumberRange> ranges, DType stored) {
  std::vector<double> sums(ranges.size());
  uint64_t elements = 0;
  for (const NumberRange& range : ranges) elements += range.elements;
  Share(ranges.size(), ranges.empty() ? 0 : elements / ranges.size(), [&](uint64_t index, unsigned) {
    const NumberRange& range = ranges[index];
    const uint64_t at_once = stored == DType::kF32 ? range.elements : kWidenedElements;
    Widened numbers(range.first, stored);
    for (uint64_t begin = 0; begin < range.elements; begin += at_once) {
      const uint64_t count = std::min(at_once, range.elements - begin);
      sums[index] += BestTrainingKernels().sum_squares(numbers.Take(count), count);
    }
  });
  return sums;
}

void HostCompute::AdamW(std::span<const AdamWTensor> tensors, const AdamWTypes& types, const AdamWScalars& scalars) {
  const std::vector<AdamWTensor> slices = SlicesOf(tensors, types);
  Share(slices.size(), kUpdateWork * kTaskElements, [&](uint64_t index, unsigned) {
    const AdamWTensor& slice = slices[index];
    auto* master = reinterpret_cast<std::byte*>(slice.master);
    Widened parameters(master ? master : slice.stored, master ? DType::kF32 : types.stored);
    Widened gradients(slice.gradients, types.gradients);
    Widened first(slice.first, types.moments), second(slice.second, types.moments);
    for (uint64_t begin = 0; begin < slice.elements; begin += kWidenedElements) {
      const uint64_t count = std::min(kWidenedElements, slice.elements - begin);
      BestTrainingKernels().adamw({.parameters = parameters.Take(count),
                                   .gradients = gradients.Take(count),
                                   .first = first.Take(count),
                                   .second = second.Take(count),
                                   .count = count,
                                   .gradient_scale = scalars.gradient_scale,
                                   .beta1 = scalars.beta1,
                                   .beta2 = scalars.beta2,
                                   .eps = scalars.eps,
                                   .decay = scalars.decay,
                                   .step_size = scalars.step_size,
                                   .second_scale = scalars.second_scale});
      parameters.PutBack();
      first.PutBack();
      second.PutBack();
    }
    if (master) BestKernels().convert(slice.stored, types.stored, slice.master, DType::kF32, slice.elements);
  });
}

}  // namespace tideline
