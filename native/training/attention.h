// Causal attention over whole sequences, forward and backward, for training. Scores exist only for a tile of queries at
// a time, in a worker's scratch; the forward pass keeps one number per row and head (the logarithm of the softmax's
// sum), from which the backward pass computes the probabilities again (FlashAttention, Dao et al. 2022, section 3.1).
#pragma once

#include <cstdint>
#include <span>

#include "compute/batch.h"       // RowRange
#include "training/layer_math.h"  // Compute

namespace tideline {

struct AttentionShape {
  uint64_t heads, kv_heads, head_dim;
  uint64_t q_size() const { return heads * head_dim; }
  uint64_t qkv_size() const { return (heads + 2 * kv_heads) * head_dim; }
};

struct AttentionBuffers {
  const float* qkv;  // (rows, q + 2 kv), rotated
  float* output;     // (rows, q)
  float* log_sums;   // (rows, heads)
};

// Scratch of one worker for sequences of up to `sequence_tokens`.
uint64_t AttentionScratchFloats(uint64_t sequence_tokens);

void AttentionForward(const Compute& compute, const AttentionShape& shape, const AttentionBuffers& buffers,
                      std::span<const RowRange> sequences);

// d_qkv (rows, q + 2 kv), overwritten, from d_output (rows, q).
void AttentionBackward(const Compute& compute, const AttentionShape& shape, const AttentionBuffers& buffers,
                       const float* d_output, float* d_qkv, std::span<const RowRange> sequences);

}  // namespace tideline
