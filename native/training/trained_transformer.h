// Forward and backward through the layers of a Llama, Qwen2 or Qwen3 model, over whole sequences: what the engine does
// token by token for generating (engine/transformer.h), here with everything kept that gradients need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "compute/compute.h"           // Compute, MicroBatch
#include "engine/model_config.h"       // ModelConfig
#include "engine/model_weights.h"      // ModelWeights
#include "engine/weights_layout.h"     // WeightsLayout
#include "training/model_gradients.h"  // ModelGradients, LayerGradients
#include "training/training_memory.h"  // ActivationBuffers

namespace tideline {

class TrainedTransformer {
 public:
  TrainedTransformer(const ModelConfig& config, const WeightsLayout& layout, bool checkpointing);

  // Called after each layer; may throw to stop.
  using AfterLayer = std::function<void()>;

  // Leaves the last layer's output (before the final norm) in buffers.hidden, and in buffers.layers what Backward needs
  // when `keep`. `batch` is what `compute` works on from here to the end of Backward.
  void Forward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers, Compute& compute,
               bool keep, const AfterLayer& after_layer) const;

  // From the gradient of the last layer's output in buffers.d_hidden: adds to the gradients of every tensor below the
  // final norm. After a Forward that kept.
  void Backward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers, Compute& compute,
                const ModelGradients& gradients, const AfterLayer& after_layer) const;

 private:
  struct Step;  // everything a layer's functions share
  // A layer, in three parts: the last one keeps nothing.
  void Attend(const Step& step, uint64_t layer) const;
  void FeedUp(const Step& step, uint64_t layer) const;
  void FeedDown(const Step& step, uint64_t layer) const;
  SelfAttention AttentionOf(const LayerActivations& kept) const {
    return {HeadShapeOf(config_), kept.qkv, kept.attention, kept.log_sums, layout_.dtype()};
  }
  void BackwardFeed(const Step& step, uint64_t layer, const LayerGradients& into) const;
  void BackwardAttend(const Step& step, uint64_t layer, const LayerGradients& into) const;

  // Gradients of a linear layer's weights and bias, and of its input in d_x.
  void BackwardLinear(const Step& step, const LinearWeights& linear, const float* d_y, const float* x, float* d_x,
                      const LinearGradient& into) const;
  void BackwardNorm(const Step& step, const NormWeights& norm, const float* input, const Gradient& into) const;

  const ModelConfig config_;
  const WeightsLayout& layout_;
  const bool checkpointing_;
  const std::vector<double> inverse_frequencies_;
};

}  // namespace tideline
