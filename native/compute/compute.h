// Compute: the arithmetic of a model's passes on one device, a whole batch at a time. The passes themselves (engine/
// transformer.h, training/trained_transformer.h, heads, AdamW) are written once above it; HostCompute runs them on the
// processor's cores, CudaCompute on a GPU.
//
// Pointers are addresses of the device; spans lie in host memory and may be reused once a call has returned. Work is done
// in the order of the calls. What a call gives back in host memory is there when it returns; everything else may still be
// under way until Finish().
//
// Reproducible: the same calls give the same bits. On the host every output element is moreover one accumulation in a fixed
// order, whatever the number of rows or threads, so a request or a sequence gives the same bits in any batch, and sums over
// rows are taken piece by piece (batch.h). A GPU may choose another order for another batch, and may ignore pieces.
//
// Activations are float32 between two calls, whatever the weights are stored in. Errors of every call: device_lost,
// out_of_memory (a GPU's own, outside the regions), internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "compute/batch.h"     // StepToken, MicroBatch, RowRange
#include "compute/dtype.h"     // DType
#include "compute/sampling.h"  // Draw, Choice
#include "memory/error.h"      // Error

namespace tideline {

class Device;

// ---------------------------------------------------------------------------------------------------------------------
// Arguments

struct LinearWeights {
  const std::byte* weights;  // (outputs, inputs)
  const float* scales;       // (outputs) of int8 weights, or nullptr
  const std::byte* bias;     // (outputs), or nullptr
  DType dtype;               // of the weights; a bias beside int8 is float32
  uint64_t outputs, inputs;
};

struct NormWeights {
  const std::byte* weight;  // (size); nullptr: there is no such norm
  DType dtype;
  uint64_t size;
  float eps;
};

struct EmbeddingWeights {
  const std::byte* weights;  // (vocabulary, hidden)
  const float* scales;       // (vocabulary) of int8 weights, or nullptr
  DType dtype;
  uint64_t hidden;
};

struct HeadShape {
  uint64_t heads, kv_heads, head_dim;
  uint64_t q_size() const { return heads * head_dim; }
  uint64_t kv_size() const { return kv_heads * head_dim; }
  uint64_t qk_size() const { return q_size() + kv_size(); }
  uint64_t qkv_size() const { return q_size() + 2 * kv_size(); }
};

// What turns projected queries and keys into those that attend: a norm per head (Qwen3), then the rotation by position.
struct RotaryArgs {
  HeadShape shape;
  NormWeights q_norm, k_norm;  // of one head; no weight: not normed
  const float *cosine, *sine;  // (rows, head_dim / 2)
};

// One layer of a paged KV cache: blocks of `block_tokens` tokens; in a block first the keys of every head, (head_dim,
// block_tokens) each, then the values, (block_tokens, head_dim) each (engine/kv_cache.h).
struct KvLayer {
  std::byte* first;  // of block 0
  DType dtype;
  uint64_t block_stride_bytes, block_tokens;
};

struct SelfAttention {
  HeadShape shape;
  const float* qkv;  // (rows, q + 2 kv), rotated
  float* output;     // (rows, q)
  float* log_sums;   // (rows, heads): the logarithm of the softmax's sum, from which a backward pass finds the probabilities
  DType dtype = DType::kF32;  // of the model's weights: beside 16-bit ones a GPU may round what it multiplies
};

// What gradients are added to: each call's sum and what is there are added in float32 and stored, rounded to nearest even,
// once. So with bfloat16 what comes of several calls is not what comes of one.
struct Gradient {
  std::byte* first;  // nullptr: there is none
  DType dtype;       // float32 or bfloat16
};

struct NormBackwardArgs {
  const float* input;     // (rows, size)
  const float* d_output;  // (rows, size)
  float* d_input;         // added to: row r at target_rows[r], or at r when there are none
  std::span<const uint32_t> target_rows;
  float* inverse_rms;     // scratch: (rows)
  Gradient d_weight;      // (size), added to
  uint64_t rows;
  std::span<const RowRange> pieces;
};

// Slopes of a loss in what one row's softmax gives.
struct TokenSlopes {
  float for_logprob = 0, for_entropy = 0;
};

struct ConvertPiece {
  void* target;
  const void* source;
  uint64_t elements;
};

struct NumberRange {
  const std::byte* first;
  uint64_t elements;
};

// One tensor of an optimizer's step.
struct AdamWTensor {
  std::byte* stored;
  float* master;  // its float32 copy; nullptr: `stored` is widened, updated and rounded back
  const std::byte* gradients;
  std::byte* first;   // running mean of gradients
  std::byte* second;  // running mean of their squares
  uint64_t elements;
};

// What each is stored as; a step is float32, and rounded once where it is stored.
struct AdamWTypes {
  DType stored;              // the model's
  DType gradients, moments;  // float32 or bfloat16
};

// As torch.optim.AdamW orders it (decoupled weight decay, Loshchilov and Hutter 2019).
struct AdamWScalars {
  float gradient_scale;  // of clipping
  float beta1, beta2, eps;
  float decay;         // 1 - learning rate * weight decay
  float step_size;     // learning rate / (1 - beta1^t)
  float second_scale;  // 1 / sqrt(1 - beta2^t)
};

// What a user of a Compute will ask at most; 0 for what it never does.
struct ComputeLimits {
  uint64_t rows = 0;             // of one batch, or of one block of logits
  uint64_t context_tokens = 0;   // of one sequence in the KV cache
  uint64_t sequences = 0;        // in the KV cache
  uint64_t block_tokens = 0;     // of a block of the KV cache
  uint64_t sequence_tokens = 0;  // of one sequence of a micro-batch
  uint64_t widest_input = 0;     // columns of the widest input, or gradient, of a linear layer
  DType weights = DType::kBF16;  // of linear layers
  uint64_t product_elements = 0;  // of both operands of the largest product; 0: all rows of two widest inputs
  unsigned threads = 0;          // of the host; 0: all cores
};

// ---------------------------------------------------------------------------------------------------------------------

// What lies in host memory because the device has no room for it: arrays of as many elements each, in one piece of memory
// that is pinned where the device is a GPU.
struct HostArray {
  std::byte* first;
  uint64_t element_bytes;
};
struct HostArrays {
  std::span<const HostArray> arrays;
  bool defined;  // otherwise nothing in them is worth bringing
};

struct ElementRange {
  uint64_t begin, elements;  // of each array
};

// Belongs to one engine or trainer, which computes one batch at a time.
class Compute {
 public:
  virtual ~Compute() = default;

  // The part of the user's region that the calls below compute in: for as long as the region is resident.
  virtual uint64_t scratch_bytes() const = 0;
  virtual void UseScratch(std::byte* scratch) = 0;

  // --- Memory
  virtual void Zero(void* target, uint64_t bytes) = 0;
  virtual void Copy(void* target, const void* source, uint64_t bytes) = 0;
  virtual void Download(std::span<std::byte> target, const void* source) = 0;
  // The same numbers where the processor can read them, until the next call: downloaded here; the host shows its own.
  virtual std::span<const float> HostView(const float* source, uint64_t count);
  // target[i] = source[i] in another storage type, round to nearest even; never to int8.
  virtual void Convert(std::span<const ConvertPiece> pieces, DType target, DType source) = 0;
  virtual void Finish() = 0;
  // Computes on arrays that stay in host memory, a range at a time: work(index, at) finds range `index` of array i at
  // at[i], and what it leaves there is in host memory when this returns. A GPU brings the ranges through `staging` (of the
  // device), the next and the last one under way while one is computed; each has at most MostPassedElements.
  virtual void PassThrough(const HostArrays& host, std::span<const ElementRange> ranges, std::span<std::byte> staging,
                           const std::function<void(size_t index, std::span<std::byte* const> at)>& work);
  static uint64_t MostPassedElements(uint64_t staging_bytes, std::span<const HostArray> arrays);

  // --- The batch: rows are tokens, in this order, until the next Begin
  // For generating: tokens of any sequences, with their blocks of the KV cache.
  virtual void Begin(std::span<const StepToken> tokens) = 0;
  // For scoring and training: whole sequences.
  virtual void Begin(const MicroBatch& batch) = 0;

  // hidden (rows, hidden) = the embedding of each row's token
  virtual void Embed(const EmbeddingWeights& embedding, float* hidden) = 0;
  // cosine, sine (rows, half) of each row's position times inverse_frequencies (half), computed in double
  virtual void Angles(std::span<const double> inverse_frequencies, float* cosine, float* sine) = 0;

  // --- Layers, forward
  // y (rows, outputs) = or += x (rows, inputs) * W^T + bias
  virtual void LinearForward(const LinearWeights& linear, const float* x, float* y, uint64_t rows, bool accumulate) = 0;
  // output (rows, size) = input / rms(input) * weight; in place allowed
  virtual void NormForward(const NormWeights& norm, const float* input, float* output, uint64_t rows) = 0;
  // The queries and keys of qkv (rows, q + 2 kv), in place; kept as they were in raw_qk (rows, q + kv) unless nullptr.
  virtual void Rotate(const RotaryArgs& rotary, float* qkv, float* raw_qk) = 0;
  // output (rows, size) = silu(gate) * up, with gate_up (rows, 2 size)
  virtual void SiluMultiply(const float* gate_up, float* output, uint64_t rows, uint64_t size) = 0;
  // target (rows.size(), columns) = the given rows of source
  virtual void GatherRows(const float* source, std::span<const uint32_t> rows, uint64_t columns, float* target) = 0;

  // Within each sequence of a micro-batch, causal. Scores never exist for more than a tile (FlashAttention, Dao et al. 2022).
  virtual void AttentionForward(const SelfAttention& attention) = 0;
  // Each row's token against all earlier ones of its sequence: its keys and values go into the KV cache first.
  virtual void StoreKeysValues(const KvLayer& cache, const HeadShape& shape, const float* qkv) = 0;
  virtual void PagedAttention(const KvLayer& cache, const HeadShape& shape, const float* qkv, float* output) = 0;

  // --- Several of these at once, for which a GPU can have one kernel. Elsewhere they are what they stand for; `normed` and
  // `gate_up` are where that is kept, and mean nothing afterwards.
  // y = norm(x) * W^T + bias
  virtual void NormLinearForward(const NormWeights& norm, const LinearWeights& linear, const float* x, float* normed,
                                 float* y, uint64_t rows) {
    NormForward(norm, x, normed, rows);
    LinearForward(linear, normed, y, rows, false);
  }
  // y (rows, outputs / 2) = silu(gate) * up of norm(x) * W^T + bias
  virtual void NormGatedForward(const NormWeights& norm, const LinearWeights& linear, const float* x, float* normed,
                                float* gate_up, float* y, uint64_t rows) {
    NormLinearForward(norm, linear, x, normed, gate_up, rows);
    SiluMultiply(gate_up, y, rows, linear.outputs / 2);
  }
  // Keys and values into the KV cache once they are turned; in qkv, only the queries mean something afterwards.
  virtual void RotateAndStore(const RotaryArgs& rotary, const KvLayer& cache, float* qkv) {
    Rotate(rotary, qkv, nullptr);
    StoreKeysValues(cache, rotary.shape, qkv);
  }

  // --- Choosing tokens
  // How the next logits' tokens are chosen, row by row.
  virtual void BeginChoosing(std::span<const Draw> draws) = 0;
  // A token for each row of logits (draws, vocabulary). `scratch`: (vocabulary), of the host only.
  virtual void ChooseTokens(const float* logits, uint64_t vocabulary, float* scratch) = 0;
  // What was chosen, by row, until the next call.
  virtual std::span<const Choice> Chosen() = 0;

  // Makes the calls of `pass`, which lie between Begin (and BeginChoosing) and Chosen, give nothing back, and depend on
  // nothing but the number of rows, where `weights` lie, and what lies on the device. A GPU records them and from then on
  // repeats the record, also when its memory was released and resumed meanwhile: the addresses are the same.
  virtual void Repeat([[maybe_unused]] const void* weights, const std::function<void()>& pass) { pass(); }

  // --- Layers, backward
  // d_qkv (rows, q + 2 kv), overwritten, from d_output (rows, q)
  virtual void AttentionBackward(const SelfAttention& attention, const float* d_output, float* d_qkv) = 0;
  // d_qkv from rotated queries and keys back to what the projection gave, in place. Adds to the norms' gradients (head_dim)
  // where there are norms; raw_qk as Rotate kept it.
  virtual void RotateBackward(const RotaryArgs& rotary, const float* raw_qk, float* d_qkv, const Gradient& d_q_norm,
                              const Gradient& d_k_norm) = 0;
  // d_x (rows, inputs) = d_y (rows, outputs) * W
  virtual void LinearInputGradient(const LinearWeights& linear, const float* d_y, float* d_x, uint64_t rows) = 0;
  // d_w (outputs, inputs) += d_y^T * x; of the linear layer only its sizes, and its type: a GPU may multiply in that
  virtual void LinearWeightGradient(const LinearWeights& linear, const float* d_y, const float* x,
                                    std::span<const RowRange> pieces, const Gradient& d_w) = 0;
  // Both of them, the weights' first: d_x may lie over x.
  virtual void LinearGradients(const LinearWeights& linear, const float* d_y, const float* x, float* d_x, uint64_t rows,
                               std::span<const RowRange> pieces, const Gradient& d_w) {
    LinearWeightGradient(linear, d_y, x, pieces, d_w);
    LinearInputGradient(linear, d_y, d_x, rows);
  }
  // sum (columns) += the rows of d_y
  virtual void BiasGradient(const float* d_y, uint64_t columns, std::span<const RowRange> pieces,
                            const Gradient& sum) = 0;
  virtual void NormBackward(const NormWeights& norm, const NormBackwardArgs& args) = 0;
  // d_gate_up (rows, 2 size) from d_output (rows, size); in place allowed
  virtual void SiluMultiplyBackward(const float* gate_up, const float* d_output, float* d_gate_up, uint64_t rows,
                                    uint64_t size) = 0;
  // d_embedding (vocabulary, hidden) += d_hidden (rows, hidden), each row at its token
  virtual void EmbedBackward(const float* d_hidden, uint64_t hidden, const Gradient& d_embedding) = 0;

  // --- Heads, on rows of their own
  // Of the softmax of each row of logits (rows, vocabulary): the logarithm of its sum, the log-prob of targets[row], and
  // the entropy.
  virtual void TokenStatistics(const float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                               std::span<float> log_sums, std::span<float> logprobs, std::span<float> entropies) = 0;
  // Over the logits: the gradient of for_logprob * logprob(target) + for_entropy * entropy of each row.
  virtual void TokenBackward(float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                             std::span<const float> log_sums, std::span<const float> entropies,
                             std::span<const TokenSlopes> slopes) = 0;
  // values[row] = input[row] (rows, size) . weight, which is float32
  virtual void RowProducts(const NormWeights& weight, const float* input, std::span<float> values) = 0;
  // d_weight (size) += slopes[row] * input[row]; d_input[row] = slopes[row] * weight
  virtual void RowProductsBackward(const NormWeights& weight, const float* input, std::span<const float> slopes,
                                   const Gradient& d_weight, float* d_input) = 0;

  // --- The optimizer
  // Of each range of numbers stored as float32 or bfloat16, in double.
  virtual std::vector<double> SumSquares(std::span<const NumberRange> ranges, DType stored) = 0;
  // Fails before anything is changed, or with HalfWritten.
  virtual void AdamW(std::span<const AdamWTensor> tensors, const AdamWTypes& types, const AdamWScalars& scalars) = 0;

 private:
  std::vector<float> host_view_;
};

// Runs `work` and waits for all it has begun, also where it throws: whoever comes next may release or overwrite the memory.
template <typename Work>
void RunToEnd(Compute& compute, const Work& work) {
  try {
    work();
  } catch (...) {
    try {
      compute.Finish();
    } catch (const Error&) {  // the first one says more
    }
    throw;
  }
  compute.Finish();
}

// For models on `device`. Error unsupported where this build, or this machine, has no arithmetic for it; the hint says what
// is missing.
std::unique_ptr<Compute> MakeCompute(const std::shared_ptr<Device>& device, const ComputeLimits& limits);

// What its scratch_bytes() would be, whether it can be made or not: a plan needs neither threads nor kernels.
uint64_t ComputeScratchBytes(const Device& device, const ComputeLimits& limits);

}  // namespace tideline
