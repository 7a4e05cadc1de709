// CudaCompute: a model's passes on a GPU. Every call becomes launches of kernels/*.cu on one stream (cuda_stream.h); spans
// go up through the scratch, and what a call gives back comes down before it returns.
//
// The calls are in five files: cuda_compute.cc (memory and batches), pass_through.cc (what stays on the host), cuda_linear.cc
// (linear layers), cuda_layers.cc (all others), cuda_heads.cc (heads and optimizer).
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "compute/compute.h"            // Compute
#include "compute/cuda/cublas.h"        // Cublas
#include "compute/cuda/cuda_scratch.h"  // CudaScratch
#include "compute/cuda/cuda_stream.h"   // CudaStream
#include "compute/cuda/device_batch.h"  // DeviceBatch
#include "compute/cuda/kernel_args.h"   // AttentionArgs

namespace tideline {

class CudaCompute final : public Compute {
 public:
  // Errors: device_unavailable, unsupported, out_of_memory (CudaStream's and Cublas's).
  CudaCompute(int ordinal, const ComputeLimits& limits);

  uint64_t scratch_bytes() const override;
  void UseScratch(std::byte* scratch) override;

  void Zero(void* target, uint64_t bytes) override;
  void Copy(void* target, const void* source, uint64_t bytes) override;
  void Download(std::span<std::byte> target, const void* source) override;
  void Convert(std::span<const ConvertPiece> pieces, DType target, DType source) override;
  void Finish() override;
  void PassThrough(const HostArrays& host, std::span<const ElementRange> ranges, std::span<std::byte> staging,
                   const std::function<void(size_t index, std::span<std::byte* const> at)>& work) override;

  void Begin(std::span<const StepToken> tokens) override;
  void Begin(const MicroBatch& batch) override;
  void Embed(const EmbeddingWeights& embedding, float* hidden) override;
  void Angles(std::span<const double> inverse_frequencies, float* cosine, float* sine) override;

  void LinearForward(const LinearWeights& linear, const float* x, float* y, uint64_t rows, bool accumulate) override;
  void NormForward(const NormWeights& norm, const float* input, float* output, uint64_t rows) override;
  void Rotate(const RotaryArgs& rotary, float* qkv, float* raw_qk) override;
  void SiluMultiply(const float* gate_up, float* output, uint64_t rows, uint64_t size) override;
  void GatherRows(const float* source, std::span<const uint32_t> rows, uint64_t columns, float* target) override;
  void StoreKeysValues(const KvLayer& cache, const HeadShape& shape, const float* qkv) override;
  void PagedAttention(const KvLayer& cache, const HeadShape& shape, const float* qkv, float* output) override;
  void RotateAndStore(const RotaryArgs& rotary, const KvLayer& cache, float* qkv) override;
  void NormLinearForward(const NormWeights& norm, const LinearWeights& linear, const float* x, float* normed, float* y,
                         uint64_t rows) override;
  void NormGatedForward(const NormWeights& norm, const LinearWeights& linear, const float* x, float* normed, float* gate_up,
                        float* y, uint64_t rows) override;
  void BeginChoosing(std::span<const Draw> draws) override;
  void ChooseTokens(const float* logits, uint64_t vocabulary, float* scratch) override;
  std::span<const Choice> Chosen() override;
  void Repeat(const void* weights, const std::function<void()>& pass) override;
  void AttentionForward(const SelfAttention& attention) override;

  void AttentionBackward(const SelfAttention& attention, const float* d_output, float* d_qkv) override;
  void RotateBackward(const RotaryArgs& rotary, const float* raw_qk, float* d_qkv, const Gradient& d_q_norm,
                      const Gradient& d_k_norm) override;
  void LinearInputGradient(const LinearWeights& linear, const float* d_y, float* d_x, uint64_t rows) override;
  void LinearWeightGradient(const LinearWeights& linear, const float* d_y, const float* x,
                            std::span<const RowRange> pieces, const Gradient& d_w) override;
  void LinearGradients(const LinearWeights& linear, const float* d_y, const float* x, float* d_x, uint64_t rows,
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
  // A linear layer of at most kMatVecRows rows and what is done on the way: its input's norm, or the gate of its two halves.
  struct FewRows {
    const LinearWeights* linear;
    const NormWeights* norm = nullptr;
    const float* x;
    float* y;
    uint64_t rows;
    bool accumulate = false, gated = false;
  };
  void FewRowsForward(const FewRows& layer);
  bool StackedForward(const FewRows& layer);
  bool TakesFewRows(const NormWeights& norm, const LinearWeights& linear, uint64_t rows) const;
  cuda::StoreKeysValuesArgs StoreArgs(const KvLayer& cache, const HeadShape& shape, const float* qkv) const;
  cuda::ChosenToken* ChosenTokens() const;

  // Where the call that is under way puts its spans: the first at the start of the scratch's arguments, and so on.
  class Arguments;
  class Narrowed;
  template <typename Work>
  void NarrowInParts(RowRange rows, DType dtype, uint64_t columns, const Work& work);
  // int8 weights by cuBLAS.
  bool QuantisedForward(const LinearWeights& linear, const float* x, float* y, uint64_t rows, bool accumulate);
  // Of matrices that are in the type of the weights.
  static MatrixProduct InputGradient(const LinearWeights& linear, const void* d_y, float* d_x, uint64_t rows);
  static MatrixProduct WeightGradient(const LinearWeights& linear, const void* d_y, const void* x, uint64_t rows,
                                      const Gradient& d_w);
  // Whether it can add to such a gradient.
  bool CublasAdds(const LinearWeights& linear, const Gradient& d_w) const;

  // On tensor cores, after attention_shift.
  void TensorAttentionBackward(cuda::AttentionArgs args, uint64_t tiles);

  // The columns' sums over all rows; see ColumnSumsArgs.
  void SumColumns(const float* values, const float* others, const float* row_factors, uint64_t rows, uint64_t columns,
                  const Gradient& sum);

  const ComputeLimits limits_;
  CudaStream stream_;
  const std::unique_ptr<Cublas> cublas_;  // nullptr: our own products
  const uint64_t workspace_bytes_;        // of cuBLAS
  CudaScratch scratch_;
  DeviceBatch batch_;
  std::vector<Choice> chosen_;
  bool draws_something_ = false;  // not all take the largest

  // What a record of a pass depends on: a pass of another form is another record.
  struct Form {
    const void *weights, *scratch;
    uint32_t rows, tiles, context;
    bool draws;
    bool operator==(const Form&) const = default;
  };
  struct Record {
    Form form;
    std::unique_ptr<CudaGraph> graph;  // nullptr: seen once
  };
  std::list<Record> records_;  // those used last first
};

}  // namespace tideline
