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

  // Reads weights from `weights` (a layout equal to the one given above), writes keys and values of every token, and
  // leaves the last layer's output in the workspace. At most workspace.tokens() tokens.
  // Errors: not_resident of the cache's or the workspace's region, and those of Compute.
  void Run(const std::byte* weights, std::span<const StepToken> tokens);

  // Logits of rows of the last Run, in host memory until the next call: at most workspace.logit_rows() of them; row r of
  // the result is rows[r]'s.
  std::span<const float> Logits(const std::byte* weights, std::span<const uint32_t> rows);

 private:
  void Attend(const LayerWeights& weights, const KvLayer& cache, uint64_t rows);
  void Feed(const LayerWeights& weights, uint64_t rows);

  const ModelConfig config_;
  const WeightsLayout& layout_;
  KvCache& cache_;
  Workspace& workspace_;
  Compute& compute_;
  const std::vector<double> inverse_frequencies_;
  WorkspaceBuffers buffers_{};
};

}  // namespace tideline
