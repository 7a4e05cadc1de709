// What reads the last layer's output: the language model's head (log-probs of given tokens, and entropies) and the value
// head (one number per row). Both work on chosen rows only, `logit_rows` at a time, so that the memory for logits does
// not grow with the batch; a loss is asked for its slopes while the logits of its rows are there, and its gradient
// replaces them in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compute/compute.h"           // Compute, RowRange, TokenSlopes
#include "engine/model_config.h"       // ModelConfig
#include "engine/model_weights.h"      // ModelWeights
#include "engine/weights_layout.h"     // WeightsLayout
#include "training/model_gradients.h"  // ModelGradients
#include "training/training_memory.h"  // ActivationBuffers, HeadBuffers

namespace tideline {

// Rows of a micro-batch that a head computes.
struct HeadRows {
  std::vector<uint32_t> rows;
  std::vector<RowRange> pieces;  // of the list above: no longer than a chunk, never across sequences
};

// Slopes of the loss in what the row gave.
using TokenLoss = std::function<TokenSlopes(uint64_t index, float logprob, float entropy)>;
// Slope of the loss in the value of the row.
using ValueLoss = std::function<float(uint64_t index, float value)>;

class Heads {
 public:
  Heads(const ModelConfig& config, const WeightsLayout& layout, uint64_t logit_rows);

  struct Step {
    const std::byte* weights;
    const ActivationBuffers& activations;  // hidden is read, d_hidden is added to
    const HeadBuffers& buffers;
    Compute& compute;
    ModelGradients gradients;  // none: nothing but scores
  };

  // Pieces for `rows`, a range of one sequence, appended.
  void Choose(RowRange rows, HeadRows& chosen) const;

  // Log-prob of targets[i] given chosen row i, and the entropy of the row's distribution. With gradients, `loss` is
  // called for every index in order.
  void Tokens(const Step& step, const HeadRows& chosen, std::span<const uint32_t> targets, std::span<float> logprobs,
              std::span<float> entropies, const TokenLoss& loss) const;
  void Values(const Step& step, const HeadRows& chosen, std::span<float> values, const ValueLoss& loss) const;

 private:
  struct Chunk {
    RowRange range;                // of the chosen rows
    std::span<const RowRange> pieces;  // counted from the chunk's first row
  };
  template <typename Work>
  void ForChunks(const Step& step, const HeadRows& chosen, const Work& work) const;
  void BackwardNorm(const Step& step, const HeadRows& chosen, const Chunk& chunk) const;
  ModelWeights Model(const Step& step) const { return {config_, layout_, step.weights}; }

  const ModelConfig config_;
  const WeightsLayout& layout_;
  const uint64_t logit_rows_;
};

}  // namespace tideline
