// HostCompute: the arithmetic on the processor's cores. Work is cut by shape alone, never by the number of threads, and
// every output element is one accumulation in a fixed order: so results depend on neither threads nor neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/compute.h"           // Compute, ComputeLimits
#include "compute/host/thread_pool.h"  // ThreadPool

namespace tideline {

// HostCompute's scratch_bytes() without one.
uint64_t HostScratchBytes(const ComputeLimits& limits);

class HostCompute final : public Compute {
 public:
  explicit HostCompute(const ComputeLimits& limits);

  uint64_t scratch_bytes() const override { return pool_.threads() * scratch_stride_ * sizeof(float); }
  void UseScratch(std::byte* scratch) override { scratch_ = reinterpret_cast<float*>(scratch); }

  void Zero(void* target, uint64_t bytes) override;
  void Copy(void* target, const void* source, uint64_t bytes) override;
  void Download(std::span<std::byte> target, const void* source) override;
  std::span<const float> HostView(const float* source, uint64_t count) override { return {source, count}; }
  void Convert(std::span<const ConvertPiece> pieces, DType target, DType source) override;
  void Finish() override {}

  void Begin(std::span<const StepToken> tokens) override;
  void Begin(const MicroBatch& batch) override { batch_ = batch; }
  void Embed(const EmbeddingWeights& embedding, float* hidden) override;
  void Angles(std::span<const double> inverse_frequencies, float* cosine, float* sine) override;

  void LinearForward(const LinearWeights& linear, const float* x, float* y, uint64_t rows, bool accumulate) override;
  void NormForward(const NormWeights& norm, const float* input, float* output, uint64_t rows) override;
  void Rotate(const RotaryArgs& rotary, float* qkv, float* raw_qk) override;
  void SiluMultiply(const float* gate_up, float* output, uint64_t rows, uint64_t size) override;
  void GatherRows(const float* source, std::span<const uint32_t> rows, uint64_t columns, float* target) override;
  void StoreKeysValues(const KvLayer& cache, const HeadShape& shape, const float* qkv) override;
  void PagedAttention(const KvLayer& cache, const HeadShape& shape, const float* qkv, float* output) override;
  void BeginChoosing(std::span<const Draw> draws) override { draws_.assign(draws.begin(), draws.end()); }
  void ChooseTokens(const float* logits, uint64_t vocabulary, float* scratch) override;
  std::span<const Choice> Chosen() override { return chosen_; }
  void AttentionForward(const SelfAttention& attention) override;

  void AttentionBackward(const SelfAttention& attention, const float* d_output, float* d_qkv) override;
  void RotateBackward(const RotaryArgs& rotary, const float* raw_qk, float* d_qkv, const Gradient& d_q_norm,
                      const Gradient& d_k_norm) override;
  void LinearInputGradient(const LinearWeights& linear, const float* d_y, float* d_x, uint64_t rows) override;
  void LinearWeightGradient(const LinearWeights& linear, const float* d_y, const float* x,
                            std::span<const RowRange> pieces, const Gradient& d_w) override;
  void BiasGradient(const float* d_y, uint64_t columns, std::span<const RowRange> pieces,
                    const Gradient& sum) override;
  void NormBackward(const NormWeights& norm, const NormBackwardArgs& args) override;
  void SiluMultiplyBackward(const float* gate_up, const float* d_output, float* d_gate_up, uint64_t rows,
                            uint64_t size) override;
  void EmbedBackward(const float* d_hidden, uint64_t hidden, const Gradient& d_embedding) override;

  void TokenStatistics(const float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                       std::span<float> log_sums, std::span<float> logprobs, std::span<float> entropies) override;
  void TokenBackward(float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                     std::span<const float> log_sums, std::span<const float> entropies,
                     std::span<const TokenSlopes> slopes) override;
  void RowProducts(const NormWeights& weight, const float* input, std::span<float> values) override;
  void RowProductsBackward(const NormWeights& weight, const float* input, std::span<const float> slopes,
                           const Gradient& d_weight, float* d_input) override;

  std::vector<double> SumSquares(std::span<const NumberRange> ranges, DType stored) override;
  void AdamW(std::span<const AdamWTensor> tensors, const AdamWTypes& types, const AdamWScalars& scalars) override;

 private:
  // Below this many multiply-adds, waking the other threads costs more than they help.
  static constexpr uint64_t kSerialWork = 1 << 18;

  // task(index, worker) for every index, on all threads where `work_each` multiply-adds per task make it worth it.
  template <typename Task>
  void Share(uint64_t count, uint64_t work_each, const Task& task) {
    if (count * work_each >= kSerialWork) return pool_.ParallelFor(count, task);
    for (uint64_t index = 0; index < count; ++index) task(index, 0);
  }
  // Of one worker; what lies in it is the business of one task.
  float* ScratchOf(unsigned worker) const { return scratch_ + worker * scratch_stride_; }

  ThreadPool pool_;
  const uint64_t scratch_stride_;  // floats of one worker
  float* scratch_ = nullptr;
  // The rows under way. A step of the engine has no sequences or pieces, but blocks of the KV cache.
  MicroBatch batch_;
  std::vector<const uint32_t*> blocks_;  // (rows)
  std::vector<Draw> draws_;
  std::vector<Choice> chosen_;
};

}  // namespace tideline
