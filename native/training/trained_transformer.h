// Forward and backward through the layers of a Llama, Qwen2 or Qwen3 model, over whole sequences: what the engine does
// token by token for generating (engine/transformer.h), here with everything kept that gradients need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/model_config.h"      // ModelConfig
#include "compute/host/thread_pool.h"       // ThreadPool
#include "engine/weights_layout.h"    // WeightsLayout
#include "compute/batch.h"           // MicroBatch
#include "training/layer_math.h"      // Compute, LinearWeights, NormWeights
#include "training/training_memory.h" // ActivationBuffers

namespace tideline {

class TrainedTransformer {
 public:
  // `layout` is the weights', `gradient_layout` the gradients' (float32, same tensors).
  TrainedTransformer(const ModelConfig& config, const WeightsLayout& layout, const WeightsLayout& gradient_layout,
                     bool checkpointing);

  // Called after each layer; may throw to stop.
  using AfterLayer = std::function<void()>;

  // Leaves the last layer's output (before the final norm) in buffers.hidden, and in buffers.layers what Backward needs
  // when `keep`.
  void Forward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers,
               const Compute& compute, bool keep, const AfterLayer& after_layer) const;

  // From the gradient of the last layer's output in buffers.d_hidden: adds to the gradients of every tensor below the
  // final norm. `gradients` is the first byte of the gradients' region. After a Forward that kept.
  void Backward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers,
                const Compute& compute, std::byte* gradients, const AfterLayer& after_layer) const;

 private:
  struct Step;  // everything a layer's functions share
  void PrepareRows(const Step& step) const;
  void ForwardLayer(const Step& step, uint64_t layer) const;
  void Attend(const Step& step, uint64_t layer) const;
  void Feed(const Step& step, uint64_t layer) const;
  void BackwardFeed(const Step& step, uint64_t layer, std::byte* gradients) const;
  void BackwardAttend(const Step& step, uint64_t layer, std::byte* gradients) const;
  void BackwardRotation(const Step& step, uint64_t layer, std::byte* gradients) const;
  void BackwardEmbedding(const Step& step, std::byte* gradients) const;

  LinearWeights Linear(const std::byte* weights, uint64_t at, uint64_t bias_at, uint64_t outputs, uint64_t inputs) const;
  NormWeights Norm(const std::byte* weights, uint64_t at, uint64_t size) const;

  const ModelConfig config_;
  const WeightsLayout& layout_;
  const WeightsLayout& gradient_layout_;
  const bool checkpointing_;
  const std::vector<double> inverse_frequencies_;
};

}  // namespace tideline
