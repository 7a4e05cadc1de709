// One forward pass of a Llama, Qwen2 or Qwen3 model over a flat batch of tokens of any sequences: prompts being
// prefilled and sequences being decoded go through together, since every token only needs its position and its blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/compute.h"        // Compute, StepToken
#include "engine/kv_cache.h"        // KvCache
#include "engine/model_weights.h"   // LayerWeights
#include "engine/weights_layout.h"  // WeightsLayout, ModelConfig
#include "engine/workspace.h"       // Workspace

namespace tideline {

class Transformer {
 public:
  Transformer(const ModelConfig& config, const WeightsLayout& layout, KvCache& cache, Workspace& workspace,
              Compute& compute);

  // What goes through next: at most workspace.tokens() tokens. Errors of this and the following: not_resident of the cache's
  // or the workspace's region, and those of Compute.
  void Begin(std::span<const StepToken> tokens);

  // Reads weights from `weights` (a layout equal to the one given above), writes keys and values of every token, and
  // leaves the last layer's output in the workspace.
  void Run(const std::byte* weights);

  // Logits of rows of the last Run, on the device until the next call: at most workspace.logit_rows() of them; row r of
  // the result is rows[r]'s.
  const float* Logits(const std::byte* weights, std::span<const uint32_t> rows);

  // Both at once, and what Compute::BeginChoosing asked for: a token for each of the tokens that began.
  void RunAndChoose(const std::byte* weights);
  // A token for each row of logits.
  void Choose(const float* logits);

 private:
  void Attend(const LayerWeights& weights, const KvLayer& cache);
  void Feed(const LayerWeights& weights);
  const float* LogitsOf(const std::byte* weights, const float* hidden, uint64_t rows);

  const ModelConfig config_;
  const WeightsLayout& layout_;
  KvCache& cache_;
  Workspace& workspace_;
  Compute& compute_;
  const std::vector<double> inverse_frequencies_;
  WorkspaceBuffers buffers_{};
  uint64_t rows_ = 0;
};

}  // namespace tideline
