// The arithmetic of the engine. One source (kernels_body.h) is compiled for three instruction sets; the best one that
// this CPU has is picked at run time.
//
// The rule that makes generation reproducible: every output element is computed by the same operations in the same
// order whatever the number of rows, the place in the batch or the thread, so a request gives the same bits alone, in
// any batch, and when it is recomputed after a retract. All accumulation is float32 unless said otherwise.
#pragma once

#include <cstdint>

#include "compute/dtype.h"  // DType

namespace tideline {

// One query head of one token against the paged keys and values of its sequence (kv_cache.h has the layout).
struct AttentionArgs {
  const float* query;             // (head_dim)
  const std::byte* layer;         // first block of the layer
  const uint32_t* blocks;         // block numbers of the sequence
  uint64_t block_stride_bytes;    // from block to block: keys and values of all heads
  uint64_t key_offset_bytes;      // of this kv head in a block: (head_dim, block_tokens)
  uint64_t value_offset_bytes;    // of this kv head in a block: (block_tokens, head_dim)
  uint64_t context_tokens;        // tokens to attend to, at least 1
  uint64_t block_tokens;          // a multiple of 16
  uint64_t head_dim;
  DType dtype;
  float scale;
  float* scores;                  // scratch: context_tokens rounded up to whole blocks
  float* output;                  // (head_dim)
};

struct MatMulArgs {
  const float* x;       // (rows, k), row stride k
  const void* weights;  // (columns, k) in `dtype`
  DType dtype;
  const void* bias;     // (columns) in `dtype`, float32 beside int8 weights, or nullptr
  float* y;             // (rows, y_stride)
  uint64_t y_stride;
  uint64_t rows, k;
  bool accumulate;      // y += instead of y =
  float* scratch;       // kMatMulScratchFloats of this worker
  const float* scales = nullptr;  // (columns): what the outputs of int8 weights are multiplied with, before the bias
};

struct Kernels {
  const char* isa;

  // y[:, begin..end) = x * weights[begin..end)^T + bias
  void (*matmul)(const MatMulArgs& args, uint64_t begin, uint64_t end);
  // output = input / rms(input) * weight; in place allowed.
  void (*rms_norm)(float* output, const float* input, const void* weight, DType dtype, uint64_t size, float eps);
  // Rotates a head in place, Hugging Face's rotate_half convention. cosine, sine: (half).
  void (*rope)(float* head, const float* cosine, const float* sine, uint64_t half);
  // output = silu(gate) * up
  void (*silu_multiply)(float* output, const float* gate, const float* up, uint64_t size);
  void (*attention)(const AttentionArgs& args);
  // Casts between storage types, round to nearest even. No alignment needed. From int8: the whole numbers, without
  // their scale; never to int8.
  void (*convert)(void* target, DType target_dtype, const void* source, DType source_dtype, uint64_t count);
  // One row of a matrix as int8 in [-127, 127], round to nearest even. Returns the scale: the largest magnitude / 127.
  // A NaN when the row holds one, or an infinity; `target` is then undefined.
  float (*quantize_row)(int8_t* target, const float* row, uint64_t count);
  // Index of the largest value, the first of equals; NaNs are never largest. `count` if there is no number above -inf.
  uint64_t (*argmax)(const float* values, uint64_t count);
  // sum(exp((values - shift) * scale)) accumulated in double; writes the terms to `terms` unless nullptr.
  double (*exp_sum)(const float* values, uint64_t count, float shift, float scale, float* terms);
};

// Scratch of one worker: a tile of four rows of weights widened to float32, where k is at most kMostWidenedK.
inline constexpr uint64_t kMostWidenedK = 1024;
inline constexpr uint64_t kMatMulScratchFloats = 4 * kMostWidenedK;

// Chosen once. Isa() is "baseline", "avx2" or "avx512".
const Kernels& BestKernels();
// nullptr when this CPU cannot run them; for tests that compare instruction sets.
const Kernels* KernelsFor(const char* isa);

}  // namespace tideline
