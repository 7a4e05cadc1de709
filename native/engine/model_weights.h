// A model's weights as a pass names them: what lies where in a resident region, ready to be handed to a Compute. Pointers
// are the device's, and nothing here looks behind them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/compute.h"        // LinearWeights, NormWeights, EmbeddingWeights, HeadShape
#include "engine/model_config.h"    // ModelConfig
#include "engine/weights_layout.h"  // WeightsLayout

namespace tideline {

inline HeadShape HeadShapeOf(const ModelConfig& config) { return {config.heads, config.kv_heads, config.head_dim}; }

struct LayerWeights {
  NormWeights input_norm;
  LinearWeights qkv;
  NormWeights q_norm, k_norm;  // of one head; without a weight where the model does not norm them
  LinearWeights o_proj;
  NormWeights post_norm;
  LinearWeights gate_up, down;
};

class ModelWeights {
 public:
  ModelWeights(const ModelConfig& config, const WeightsLayout& layout, const std::byte* first)
      : config_(config), layout_(layout), first_(first) {}

  EmbeddingWeights Embedding() const;
  LayerWeights Layer(uint64_t layer) const;
  NormWeights FinalNorm() const;
  // Of the head that the model has.
  LinearWeights LmHead() const;
  const std::byte* ValueHead() const { return first_ + layout_.value_head(); }

 private:
  LinearWeights Linear(uint64_t at, uint64_t bias_at, uint64_t outputs, uint64_t inputs) const;
  NormWeights Norm(uint64_t at, uint64_t size) const;

  const ModelConfig& config_;
  const WeightsLayout& layout_;
  const std::byte* const first_;
};

}  // namespace tideline
