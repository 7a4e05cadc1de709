#include "training/adamw.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "compute/host/kernels.h"             // BestKernels
#include "memory/error.h"               // Error
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// Elements of one task.
constexpr uint64_t kTaskElements = 1 << 15;
// Elements widened to float32 at once, on the stack.
constexpr uint64_t kWidenedElements = 4096;

struct Slice {
  size_t tensor;
  uint64_t weights_offset, gradient_offset;  // bytes
  uint64_t elements;
};

// All tensors cut into tasks, in order of name.
std::vector<Slice> SlicesOf(const WeightsLayout& layout, const WeightsLayout& gradient_layout) {
  std::vector<Slice> slices;
  const uint64_t width = DTypeBytes(layout.dtype());
  for (size_t tensor = 0; tensor < layout.tensors().size(); ++tensor) {
    const TensorSlice &weights = layout.tensors()[tensor], &gradient = gradient_layout.tensors()[tensor];
    const uint64_t elements = weights.bytes / width;
    for (uint64_t first = 0; first < elements; first += kTaskElements) {
      slices.push_back({tensor, weights.offset + first * width, gradient.offset + first * sizeof(float),
                        std::min(kTaskElements, elements - first)});
    }
  }
  return slices;
}

float* Floats(std::byte* at) { return reinterpret_cast<float*>(at); }
const float* Floats(const std::byte* at) { return reinterpret_cast<const float*>(at); }

}  // namespace

AdamWOptimizer::AdamWOptimizer(const WeightsLayout& layout, const WeightsLayout& gradient_layout, bool master_weights)
    : layout_(layout),
      gradient_layout_(gradient_layout),
      master_weights_(master_weights && layout.dtype() != DType::kF32) {}

void AdamWOptimizer::Initialise(ThreadPool& pool, const std::byte* weights, std::byte* state) const {
  const uint64_t part = gradient_layout_.total_bytes();
  std::memset(state, 0, (master_weights_ ? 3 : 2) * part);
  if (!master_weights_) return;
  const auto slices = SlicesOf(layout_, gradient_layout_);
  pool.ParallelFor(slices.size(), [&](uint64_t index, unsigned) {
    const Slice& slice = slices[index];
    BestKernels().convert(state + 2 * part + slice.gradient_offset, DType::kF32, weights + slice.weights_offset,
                          layout_.dtype(), slice.elements);
  });
}

uint64_t AdamWOptimizer::CastMaster(ThreadPool& pool, const std::byte* state, std::byte* weights) const {
  const std::byte* master = state + 2 * gradient_layout_.total_bytes();
  const auto slices = SlicesOf(layout_, gradient_layout_);
  pool.ParallelFor(slices.size(), [&](uint64_t index, unsigned) {
    const Slice& slice = slices[index];
    BestKernels().convert(weights + slice.weights_offset, layout_.dtype(), master + slice.gradient_offset, DType::kF32,
                          slice.elements);
  });
  return layout_.total_bytes();
}

double AdamWOptimizer::GradientNorm(ThreadPool& pool, const std::byte* gradients) const {
  const auto slices = SlicesOf(layout_, gradient_layout_);
  std::vector<double> sums(slices.size());
  pool.ParallelFor(slices.size(), [&](uint64_t index, unsigned) {
    const Slice& slice = slices[index];
    sums[index] = BestTrainingKernels().sum_squares(Floats(gradients + slice.gradient_offset), slice.elements);
  });
  double total = 0;
  for (size_t index = 0; index < slices.size(); ++index) {
    if (!std::isfinite(sums[index])) {
      const std::string& name = layout_.tensors()[slices[index].tensor].name;
      throw Error("not_finite",
                  "the gradient of " + name + " holds a NaN or is too large for float32; no weight was changed",
                  "lower the learning rate, or look at the rewards of this step")
          .WithTensor(name);
    }
    total += sums[index];
  }
  return std::sqrt(total);
}

void AdamWOptimizer::Apply(ThreadPool& pool, const AdamWOptions& options, uint64_t step, double gradient_scale,
                           std::byte* weights, const std::byte* gradients, std::byte* state) const {
  const uint64_t part = gradient_layout_.total_bytes();
  const double time = static_cast<double>(step);
  AdamWArgs shared{};
  shared.gradient_scale = static_cast<float>(gradient_scale);
  shared.beta1 = static_cast<float>(options.beta1);
  shared.beta2 = static_cast<float>(options.beta2);
  shared.eps = static_cast<float>(options.eps);
  shared.decay = static_cast<float>(1 - options.learning_rate * options.weight_decay);
  shared.step_size = static_cast<float>(options.learning_rate / (1 - std::pow(options.beta1, time)));
  shared.second_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, time)));

  const DType dtype = layout_.dtype();
  const auto slices = SlicesOf(layout_, gradient_layout_);
  pool.ParallelFor(slices.size(), [&](uint64_t index, unsigned) {
    const Slice& slice = slices[index];
    AdamWArgs args = shared;
    args.gradients = Floats(gradients + slice.gradient_offset);
    args.first = Floats(state + slice.gradient_offset);
    args.second = Floats(state + part + slice.gradient_offset);
    args.count = slice.elements;
    std::byte* stored = weights + slice.weights_offset;
    if (dtype == DType::kF32) {
      args.parameters = Floats(stored);
      return BestTrainingKernels().adamw(args);
    }
    if (master_weights_) {
      args.parameters = Floats(state + 2 * part + slice.gradient_offset);
      BestTrainingKernels().adamw(args);
      return BestKernels().convert(stored, dtype, args.parameters, DType::kF32, slice.elements);
    }
    float widened[kWidenedElements];
    args.parameters = widened;
    for (uint64_t first = 0; first < slice.elements; first += kWidenedElements) {
      args.count = std::min(kWidenedElements, slice.elements - first);
      std::byte* at = stored + first * DTypeBytes(dtype);
      BestKernels().convert(widened, DType::kF32, at, dtype, args.count);
      BestTrainingKernels().adamw(args);
      BestKernels().convert(at, dtype, widened, DType::kF32, args.count);
      args.gradients += args.count, args.first += args.count, args.second += args.count;
    }
  });
}

}  // namespace tideline
