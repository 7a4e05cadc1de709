#include "training/adamw.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

// Gradients are summed in ranges of so many, and those in order.
constexpr uint64_t kRangeElements = 1 << 15;

float* Floats(std::byte* at) { return reinterpret_cast<float*>(at); }
const float* Floats(const std::byte* at) { return reinterpret_cast<const float*>(at); }

AdamWScalars ScalarsOf(const AdamWOptions& options, uint64_t step, double gradient_scale) {
  const double time = static_cast<double>(step);
  return {.gradient_scale = static_cast<float>(gradient_scale),
          .beta1 = static_cast<float>(options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .eps = static_cast<float>(options.eps),
          .decay = static_cast<float>(1 - options.learning_rate * options.weight_decay),
          .step_size = static_cast<float>(options.learning_rate / (1 - std::pow(options.beta1, time))),
          .second_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, time)))};
}

}  // namespace

AdamWOptimizer::AdamWOptimizer(const WeightsLayout& layout, const WeightsLayout& gradient_layout, bool master_weights)
    : layout_(layout),
      gradient_layout_(gradient_layout),
      master_weights_(master_weights && layout.dtype() != DType::kF32) {}

void AdamWOptimizer::Initialise(Compute& compute, const std::byte* weights, std::byte* state) const {
  const uint64_t part = gradient_layout_.total_bytes();
  compute.Zero(state, (master_weights_ ? 3 : 2) * part);
  if (!master_weights_) return;
  std::vector<ConvertPiece> pieces;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const TensorSlice &stored = layout_.tensors()[tensor], &gradient = gradient_layout_.tensors()[tensor];
    pieces.push_back({state + 2 * part + gradient.offset, weights + stored.offset, stored.elements()});
  }
  compute.Convert(pieces, DType::kF32, layout_.dtype());
}

uint64_t AdamWOptimizer::CastMaster(Compute& compute, const std::byte* state, std::byte* weights) const {
  const std::byte* master = state + 2 * gradient_layout_.total_bytes();
  std::vector<ConvertPiece> pieces;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const TensorSlice &stored = layout_.tensors()[tensor], &gradient = gradient_layout_.tensors()[tensor];
    pieces.push_back({weights + stored.offset, master + gradient.offset, stored.elements()});
  }
  compute.Convert(pieces, layout_.dtype(), DType::kF32);
  return layout_.total_bytes();
}

double AdamWOptimizer::GradientNorm(Compute& compute, const std::byte* gradients) const {
  std::vector<FloatRange> ranges;
  std::vector<const TensorSlice*> tensors;  // that each range belongs to
  for (const TensorSlice& tensor : gradient_layout_.tensors()) {
    const float* first = Floats(gradients + tensor.offset);
    for (uint64_t begin = 0; begin < tensor.elements(); begin += kRangeElements) {
      ranges.push_back({first + begin, std::min(kRangeElements, tensor.elements() - begin)});
      tensors.push_back(&tensor);
    }
  }
  const std::vector<double> sums = compute.SumSquares(ranges);
  double total = 0;
  for (size_t index = 0; index < sums.size(); ++index) {
    if (!std::isfinite(sums[index])) {
      const std::string& name = tensors[index]->name;
      throw Error("not_finite",
                  "the gradient of " + name + " holds a NaN or is too large for float32; no weight was changed",
                  "lower the learning rate, or look at the rewards of this step")
          .WithTensor(name);
    }
    total += sums[index];
  }
  return std::sqrt(total);
}

void AdamWOptimizer::Apply(Compute& compute, const AdamWOptions& options, uint64_t step, double gradient_scale,
                           std::byte* weights, const std::byte* gradients, std::byte* state) const {
  const uint64_t part = gradient_layout_.total_bytes();
  const AdamWScalars scalars = ScalarsOf(options, step, gradient_scale);
  std::vector<AdamWTensor> tensors;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const TensorSlice &stored = layout_.tensors()[tensor], &gradient = gradient_layout_.tensors()[tensor];
    tensors.push_back({.stored = weights + stored.offset,
                       .master = master_weights_ ? Floats(state + 2 * part + gradient.offset) : nullptr,
                       .gradients = Floats(gradients + gradient.offset),
                       .first = Floats(state + gradient.offset),
                       .second = Floats(state + part + gradient.offset),
                       .elements = stored.elements()});
  }
  compute.AdamW(tensors, layout_.dtype(), scalars);
}

std::vector<AdamWOptimizer::Slice> AdamWOptimizer::SlicesIn(const ByteRange& range) const {
  std::vector<Slice> slices;
  const uint64_t end = range.offset + range.bytes;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const TensorSlice &stored = layout_.tensors()[tensor], &gradient = gradient_layout_.tensors()[tensor];
    const uint64_t first = std::max(range.offset, gradient.offset);
    const uint64_t last = std::min(end, gradient.offset + gradient.bytes);
    if (first >= last) continue;
    slices.push_back({&stored, &gradient, (first - gradient.offset) / sizeof(float), (last - first) / sizeof(float)});
  }
  return slices;
}

void AdamWOptimizer::ApplyOnHostState(Compute& compute, const AdamWOptions& options, uint64_t step,
                                      double gradient_scale, std::byte* weights, const std::byte* gradients,
                                      std::byte* state, std::span<std::byte> staging) const {
  const uint64_t part = gradient_layout_.total_bytes();
  std::vector<std::byte*> parts{state, state + part};
  if (master_weights_) parts.push_back(state + 2 * part);
  const uint64_t most = Compute::MostPassedBytes(staging.size(), parts.size());
  if (most == 0) throw Error("bad_argument", "an update from the host needs more activations to pass through");
  std::vector<ByteRange> ranges;
  for (uint64_t offset = 0; offset < part; offset += most) ranges.push_back({offset, std::min(most, part - offset)});

  const AdamWScalars scalars = ScalarsOf(options, step, gradient_scale);
  const bool defined = step > 1;
  compute.PassThrough({parts, defined}, ranges, staging, [&](size_t index, std::span<std::byte* const> at) {
    const ByteRange& range = ranges[index];
    std::vector<AdamWTensor> tensors;
    std::vector<ConvertPiece> widened;
    for (const Slice& slice : SlicesIn(range)) {
      const uint64_t gradient_offset = slice.gradient->offset + slice.begin * sizeof(float);
      const uint64_t here = gradient_offset - range.offset;
      std::byte* stored = weights + slice.stored->offset + slice.begin * DTypeBytes(layout_.dtype());
      float* master = master_weights_ ? Floats(at[2] + here) : nullptr;
      if (master != nullptr) widened.push_back({master, stored, slice.elements});
      tensors.push_back({.stored = stored,
                         .master = master,
                         .gradients = Floats(gradients + gradient_offset),
                         .first = Floats(at[0] + here),
                         .second = Floats(at[1] + here),
                         .elements = slice.elements});
    }
    if (!defined) {
      for (std::byte* array : at) compute.Zero(array, range.bytes);
      compute.Convert(widened, DType::kF32, layout_.dtype());
    }
    compute.AdamW(tensors, layout_.dtype(), scalars);
  });
}

}  // namespace tideline
