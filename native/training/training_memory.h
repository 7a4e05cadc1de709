// How many bytes training takes, part by part, and where each buffer lies: a pure function of the config and the limits,
// computed before anything is reserved. A planner can be held against it; a step allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compute/compute.h"            // ComputeLimits
#include "engine/model_config.h"        // ModelConfig
#include "engine/weights_layout.h"      // WeightsLayout, ModelHead
#include "training/optimizer_layout.h"  // OptimizerLayout

namespace tideline {

struct TrainingLimits {
  uint64_t micro_batch = 1;        // sequences computed together
  uint64_t sequence_tokens = 0;    // most tokens of one sequence; 0: 512, or what the model takes if that is less
  uint64_t logit_rows = 128;       // rows of logits held at once
  bool checkpointing = false;      // keep only the layers' inputs and compute the rest again in the backward pass
  bool trainable = true;           // false: scores only, nothing is kept for a backward pass
  bool master_weights = false;     // float32 copies of weights that are stored in fewer bits
  DType gradients = DType::kF32;   // float32, or bfloat16 to take half the memory
  DType moments = DType::kF32;     // the same of Adam's running means
  unsigned threads = 0;            // 0: all cores

  uint64_t rows() const { return micro_batch * sequence_tokens; }
};

// With every 0 replaced by what it stands for. Error bad_argument (with `field`) for limits out of range.
TrainingLimits Resolved(TrainingLimits limits, const ModelConfig& config);

// What training within resolved limits asks of a Compute.
ComputeLimits ComputeLimitsOf(const TrainingLimits& limits, const ModelConfig& config, DType dtype, ModelHead head);

// What the backward pass of one layer reads. (rows, …) with as many rows as the limits allow.
struct LayerActivations {
  float* input;       // (rows, hidden)
  float* raw_qk;      // (rows, q + kv): before norm and rotation; only for models that norm q and k
  float* qkv;         // (rows, q + 2 kv): rotated
  float* log_sums;    // (rows, heads)
  float* attention;   // (rows, q)
  float* middle;      // (rows, hidden): after attention
  float* gate_up;     // (rows, 2 intermediate); its gradient takes its place
};

// The `activations` region.
struct ActivationBuffers {
  std::vector<LayerActivations> layers;
  float* hidden;         // (rows, hidden): running; after a forward pass the last layer's output
  float* normed;         // (rows, hidden); in the backward pass also its gradient
  float* cosine;         // (rows, head_dim / 2)
  float* sine;           // (rows, head_dim / 2)
  float* activated;      // (rows, intermediate); the same
  float* d_hidden;       // (rows, hidden)
  float* d_attention;    // (rows, q); shares its bytes with `activated`: never needed at the same time
  float* d_qkv;          // (rows, q + 2 kv); the same
  float* inverse_rms;    // (rows)
  std::byte* scratch;    // the Compute's
};

// The `logits` region: what a head computes, some rows at a time.
struct HeadBuffers {
  float* input;        // (logit_rows, hidden): gathered
  float* normed;       // (logit_rows, hidden)
  float* d_normed;     // (logit_rows, hidden)
  float* inverse_rms;  // (logit_rows)
  float* logits;       // (logit_rows, vocab); (1, hidden) for a value head: its weight as float32
};

struct TrainingBytes {
  uint64_t gradients, optimizer, activations, logits;
};

class TrainingMemory {
 public:
  // Limits as Resolved gives them; `scratch_bytes` is what the Compute takes within them. Errors: unsupported for int8
  // weights that should learn, bad_argument (with `field`) for limits whose sizes pass 2^53 bytes.
  TrainingMemory(const ModelConfig& config, DType dtype, ModelHead head, const TrainingLimits& limits,
                 uint64_t scratch_bytes);

  // What the regions reserve, before rounding up to chunks; 0 for parts that the limits leave out.
  TrainingBytes bytes() const { return bytes_; }
  // Tensors as in the model's layout.
  const WeightsLayout& gradient_layout() const { return gradient_layout_; }
  const OptimizerLayout& optimizer_layout() const { return optimizer_layout_; }

  // Pointers from the first byte of a region of bytes().activations or bytes().logits.
  ActivationBuffers Activations(void* base) const;
  HeadBuffers Head(void* base) const;

 private:
  uint64_t PlaceActivations(std::byte* base, ActivationBuffers& buffers) const;
  uint64_t PlaceHead(std::byte* base, HeadBuffers& buffers) const;

  const ModelConfig config_;
  const ModelHead head_;
  const TrainingLimits limits_;
  const uint64_t scratch_bytes_;
  const WeightsLayout gradient_layout_;
  const OptimizerLayout optimizer_layout_;
  TrainingBytes bytes_{};
};

}  // namespace tideline
