#include "training/adamw.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

// Gradients are summed in ranges of so many, and those in order.
constexpr uint64_t kRangeElements = 1 << 15;

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

void AdamWOptimizer::Initialise(Compute& compute, const std::byte* weights, std::byte* state) const {
  compute.Zero(state, state_layout_.total_bytes());
  if (!has_master()) return;
  std::byte* master = state + state_layout_.master();
  std::vector<ConvertPiece> pieces;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const TensorSlice& stored = layout_.tensors()[tensor];
    pieces.push_back({master + state_layout_.element_of(tensor) * sizeof(float), weights + stored.offset, stored.elements()});
  }
  compute.Convert(pieces, DType::kF32, layout_.dtype());
}

uint64_t AdamWOptimizer::CastMaster(Compute& compute, const std::byte* state, std::byte* weights) const {
  const std::byte* master = state + state_layout_.master();
  std::vector<ConvertPiece> pieces;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const TensorSlice& stored = layout_.tensors()[tensor];
    pieces.push_back({weights + stored.offset, master + state_layout_.element_of(tensor) * sizeof(float), stored.elements()});
  }
  compute.Convert(pieces, layout_.dtype(), DType::kF32);
  return layout_.total_bytes();
}

double AdamWOptimizer::GradientNorm(Compute& compute, const std::byte* gradients) const {
  const DType dtype = gradient_layout_.dtype();
  std::vector<NumberRange> ranges;
  std::vector<const TensorSlice*> tensors;  // that each range belongs to
  for (const TensorSlice& tensor : gradient_layout_.tensors()) {
    const std::byte* first = gradients + tensor.offset;
    for (uint64_t begin = 0; begin < tensor.elements(); begin += kRangeElements) {
      ranges.push_back({first + begin * DTypeBytes(dtype), std::min(kRangeElements, tensor.elements() - begin)});
      tensors.push_back(&tensor);
    }
  }
  const std::vector<double> sums = compute.SumSquares(ranges, dtype);
  double total = 0;
  for (size_t index = 0; index < sums.size(); ++index) {
    if (!std::isfinite(sums[index])) {
      const std::string& name = tensors[index]->name;
      throw Error("not_finite",
                  "the gradient of " + name + " holds a NaN or is too large for " + std::string(DTypeName(dtype)) +
                      "; no weight was changed",
                  "lower the learning rate, or look at the rewards of this step")
          .WithTensor(name);
    }
    total += sums[index];
  }
  return std::sqrt(total);
}

AdamWOptimizer::Parts AdamWOptimizer::AllOf(std::byte* state) const {
  return {.first = state,
          .second = state + state_layout_.second(),
          .master = has_master() ? state + state_layout_.master() : nullptr,
          .begin = 0};
}

std::vector<AdamWOptimizer::Slice> AdamWOptimizer::SlicesIn(const ElementRange& range) const {
  std::vector<Slice> slices;
  const uint64_t end = range.begin + range.elements;
  for (size_t tensor = 0; tensor < layout_.tensors().size(); ++tensor) {
    const uint64_t here = state_layout_.element_of(tensor);
    const uint64_t first = std::max(range.begin, here), last = std::min(end, here + layout_.tensors()[tensor].elements());
    if (first < last) slices.push_back({tensor, first - here, last - first});
  }
  return slices;
}

AdamWTensor AdamWOptimizer::TensorOf(const Slice& slice, std::byte* weights, const std::byte* gradients,
                                     const Parts& state) const {
  const auto [stored, of_gradients, of_moments] = types();
  const uint64_t at = state_layout_.element_of(slice.tensor) + slice.begin - state.begin;
  std::byte* master = state.master == nullptr ? nullptr : state.master + at * sizeof(float);
  return {.stored = weights + layout_.tensors()[slice.tensor].offset + slice.begin * DTypeBytes(stored),
          .master = reinterpret_cast<float*>(master),
          .gradients = gradients + gradient_layout_.tensors()[slice.tensor].offset + slice.begin * DTypeBytes(of_gradients),
          .first = state.first + at * DTypeBytes(of_moments),
          .second = state.second + at * DTypeBytes(of_moments),
          .elements = slice.elements};
}

void AdamWOptimizer::Apply(Compute& compute, const AdamWOptions& options, uint64_t step, double gradient_scale,
                           std::byte* weights, const std::byte* gradients, std::byte* state) const {
  std::vector<AdamWTensor> tensors;
  for (const Slice& slice : SlicesIn({0, state_layout_.elements()})) {
    tensors.push_back(TensorOf(slice, weights, gradients, AllOf(state)));
  }
  compute.AdamW(tensors, types(), ScalarsOf(options, step, gradient_scale));
}

void AdamWOptimizer::ApplyOnHostState(Compute& compute, const AdamWOptions& options, uint64_t step,
                                      double gradient_scale, std::byte* weights, const std::byte* gradients,
                                      std::byte* state, std::span<std::byte> staging) const {
  const uint64_t moment_bytes = DTypeBytes(state_layout_.moments()), elements = state_layout_.elements();
  const Parts all = AllOf(state);
  std::vector<HostArray> arrays{{all.first, moment_bytes}, {all.second, moment_bytes}};
  if (all.master != nullptr) arrays.push_back({all.master, sizeof(float)});
  const uint64_t most = Compute::MostPassedElements(staging.size(), arrays);
  if (most == 0) throw Error("bad_argument", "an update from the host needs more activations to pass through");
  std::vector<ElementRange> ranges;
  for (uint64_t begin = 0; begin < elements; begin += most) ranges.push_back({begin, std::min(most, elements - begin)});

  const AdamWScalars scalars = ScalarsOf(options, step, gradient_scale);
  const bool defined = step > 1;
  bool begun = false;
  const auto update = [&](size_t index, std::span<std::byte* const> at) {
    const ElementRange& range = ranges[index];
    const Parts here{at[0], at[1], all.master == nullptr ? nullptr : at[2], range.begin};
    std::vector<AdamWTensor> tensors;
    std::vector<ConvertPiece> widened;
    for (const Slice& slice : SlicesIn(range)) {
      const AdamWTensor& tensor = tensors.emplace_back(TensorOf(slice, weights, gradients, here));
      if (tensor.master != nullptr) widened.push_back({tensor.master, tensor.stored, tensor.elements});
    }
    if (!defined) {
      for (size_t array = 0; array < at.size(); ++array) {
        compute.Zero(at[array], range.elements * arrays[array].element_bytes);
      }
      compute.Convert(widened, DType::kF32, layout_.dtype());
    }
    compute.AdamW(tensors, types(), scalars);
    begun = true;
  };
  try {
    compute.PassThrough({arrays, defined}, ranges, staging, update);
  } catch (const Error& error) {
    if (!begun) throw;
    throw HalfWritten(error);
  }
}

}  // namespace tideline
