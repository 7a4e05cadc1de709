// AdamW over all tensors of a model, with clipping by the global norm of the gradients. Its state lies in one region:
// running means of gradients, running means of their squares, and master weights where the model stores fewer bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/compute.h"        // Compute
#include "engine/weights_layout.h"  // WeightsLayout

namespace tideline {

struct AdamWOptions {
  double learning_rate = 1e-5, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.01;
  double max_gradient_norm = 1.0;  // infinity: no clipping
};

class AdamWOptimizer {
 public:
  // gradient_layout: float32, the tensors of `layout`.
  AdamWOptimizer(const WeightsLayout& layout, const WeightsLayout& gradient_layout, bool master_weights);

  // State before the first step.
  void Initialise(Compute& compute, const std::byte* weights, std::byte* state) const;

  // Casts the master weights into `weights`; returns the bytes written. Only with master weights.
  uint64_t CastMaster(Compute& compute, const std::byte* state, std::byte* weights) const;
  bool has_master() const { return master_weights_; }

  // L2 norm over all tensors. Error not_finite (with `tensor`: the first) when one holds a NaN or an infinity.
  double GradientNorm(Compute& compute, const std::byte* gradients) const;

  // Step number `step` (from 1), gradients times `gradient_scale`.
  void Apply(Compute& compute, const AdamWOptions& options, uint64_t step, double gradient_scale, std::byte* weights,
             const std::byte* gradients, std::byte* state) const;
  // The same with the state in host memory, passed through `staging` piece by piece; before step 1 nothing is read of it.
  // The bits are those of Initialise and Apply.
  void ApplyOnHostState(Compute& compute, const AdamWOptions& options, uint64_t step, double gradient_scale,
                        std::byte* weights, const std::byte* gradients, std::byte* state,
                        std::span<std::byte> staging) const;

 private:
  // A part of a tensor that lies within a range of the gradients' layout: elements [begin, begin + elements) of the tensor.
  struct Slice {
    const TensorSlice *stored, *gradient;
    uint64_t begin, elements;
  };
  std::vector<Slice> SlicesIn(const ByteRange& range) const;


  const WeightsLayout& layout_;
  const WeightsLayout& gradient_layout_;
  const bool master_weights_;
};

}  // namespace tideline
