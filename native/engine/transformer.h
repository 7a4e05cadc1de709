// One forward pass of a Llama, Qwen2 or Qwen3 model over a flat batch of tokens of any sequences: prompts being
// prefilled and sequences being decoded go through together, since every token only needs its position and its blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/batch.h"          // StepToken
#include "engine/kv_cache.h"        // KvCache
#include "compute/host/thread_pool.h"     // ThreadPool
#include "engine/weights_layout.h"  // WeightsLayout, ModelConfig
#include "engine/workspace.h"       // Workspace

namespace tideline {

class Transformer {
 public:
  Transformer(const ModelConfig& config, const WeightsLayout& layout, KvCache& cache, Workspace& workspace,
              ThreadPool& pool);

  // Reads weights from `weights` (a layout equal to the one given above), writes keys and values of every token, and
  // leaves the last layer's output in the workspace. At most workspace.tokens() tokens.
  // Errors: not_resident of the cache's or the workspace's region.
  void Run(const std::byte* weights, std::span<const StepToken> tokens);

  // Logits of rows of the last Run: at most workspace.logit_rows() of them; row r of the result is rows[r]'s.
  std::span<const float> Logits(const std::byte* weights, std::span<const uint32_t> rows);

 private:
  struct Projection {
    uint64_t weights, bias;  // offsets; bias may be LayerOffsets::kAbsent
    uint64_t columns, k;
  };
  void PrepareTokens(const std::byte* weights, std::span<const StepToken> tokens);
  void Attend(const std::byte* weights, uint64_t layer, std::span<const StepToken> tokens);
  void Feed(const std::byte* weights, uint64_t layer, uint64_t rows);
  // y = x * W^T (+ bias), or y += …
  void Project(const std::byte* weights, const Projection& projection, const float* x, float* y, uint64_t rows,
               bool accumulate);
  // task(index, worker) for every index, on all threads where `work_each` multiply-adds per task make it worth it.
  template <typename Task>
  void Share(uint64_t count, uint64_t work_each, const Task& task);
  void Normalise(const void* weight, const float* input, float* output, uint64_t rows);

  const ModelConfig config_;
  const WeightsLayout& layout_;
  KvCache& cache_;
  Workspace& workspace_;
  ThreadPool& pool_;
  const std::vector<double> inverse_frequencies_;
  WorkspaceBuffers buffers_{};
};

}  // namespace tideline
