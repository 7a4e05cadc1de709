// A model's gradients as a backward pass names them: what of each tensor is added to where, in a resident region. The
// counterpart of ModelWeights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/compute.h"        // Gradient
#include "engine/weights_layout.h"  // WeightsLayout

namespace tideline {

struct LinearGradient {
  Gradient weights, bias;
};

// What the model does not have has none.
struct LayerGradients {
  Gradient input_norm;
  LinearGradient qkv;
  Gradient q_norm, k_norm;
  LinearGradient o_proj;
  Gradient post_norm;
  LinearGradient gate_up, down;
};

class ModelGradients {
 public:
  // `layout` is the gradients' own; `first` nullptr: nothing is learned.
  ModelGradients(const WeightsLayout& layout, std::byte* first) : layout_(layout), first_(first) {}
  explicit operator bool() const { return first_ != nullptr; }

  Gradient Embedding() const { return At(layout_.embedding()); }
  LayerGradients Layer(uint64_t layer) const;
  Gradient FinalNorm() const { return At(layout_.final_norm()); }
  // Of the head that the model has.
  Gradient LmHead() const { return At(layout_.lm_head()); }
  Gradient ValueHead() const { return At(layout_.value_head()); }

 private:
  Gradient At(uint64_t offset) const {
    return {offset == LayerOffsets::kAbsent ? nullptr : first_ + offset, layout_.dtype()};
  }

  const WeightsLayout& layout_;
  std::byte* const first_;
};

}  // namespace tideline
