// AdamW over all tensors of a model, with clipping by the global norm of the gradients. Its state lies in one region
// (optimizer_layout.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/compute.h"            // Compute
#include "engine/weights_layout.h"      // WeightsLayout
#include "training/optimizer_layout.h"  // OptimizerLayout

namespace tideline {

struct AdamWOptions {
  double learning_rate = 1e-5, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.01;
  double max_gradient_norm = 1.0;  // infinity: no clipping
};

class AdamWOptimizer {
 public:
  // Three layouts of the same tensors: of weights, gradients and state.
  AdamWOptimizer(const WeightsLayout& layout, const WeightsLayout& gradient_layout, const OptimizerLayout& state_layout)
      : layout_(layout), gradient_layout_(gradient_layout), state_layout_(state_layout) {}

  // State before the first step.
  void Initialise(Compute& compute, const std::byte* weights, std::byte* state) const;

  // Casts the master weights into `weights`; returns the bytes written. Only with master weights.
  uint64_t CastMaster(Compute& compute, const std::byte* state, std::byte* weights) const;
  bool has_master() const { return state_layout_.has_master(); }

  // L2 norm over all tensors. Error not_finite (with `tensor`: the first) when one holds a NaN or an infinity.
  double GradientNorm(Compute& compute, const std::byte* gradients) const;

  // Step number `step` (from 1), gradients times `gradient_scale`.
  void Apply(Compute& compute, const AdamWOptions& options, uint64_t step, double gradient_scale, std::byte* weights,
             const std::byte* gradients, std::byte* state) const;
  // The same with the state in host memory, passed through `staging` piece by piece; before step 1 nothing is read of it.
  // The bits are those of Initialise and Apply. Both fail before anything is changed, or with HalfWritten.
  void ApplyOnHostState(Compute& compute, const AdamWOptions& options, uint64_t step, double gradient_scale,
                        std::byte* weights, const std::byte* gradients, std::byte* state,
                        std::span<std::byte> staging) const;

 private:
  // A part of a tensor that lies within a range of the state: its elements [begin, begin + elements).
  struct Slice {
    size_t tensor;
    uint64_t begin, elements;
  };
  std::vector<Slice> SlicesIn(const ElementRange& range) const;
  // Where the parts of the state lie from element `begin` on; `master` is nullptr where there are none.
  struct Parts {
    std::byte *first, *second, *master;
    uint64_t begin;
  };
  Parts AllOf(std::byte* state) const;
  AdamWTensor TensorOf(const Slice& slice, std::byte* weights, const std::byte* gradients, const Parts& state) const;
  AdamWTypes types() const { return {layout_.dtype(), gradient_layout_.dtype(), state_layout_.moments()}; }

  const WeightsLayout& layout_;
  const WeightsLayout& gradient_layout_;
  const OptimizerLayout& state_layout_;
};

}  // namespace tideline
