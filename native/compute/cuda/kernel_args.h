// What each kernel is given: one struct by value, the same for the launcher and for the device. Read by nvcc and by a host
// compiler, so plain types only. Every address is the device's.
#pragma once

#include <cstdint>

#include "compute/dtype.h"  // DType

namespace tideline::cuda {

// ---------------------------------------------------------------------------------------------------------------------
// Rows (kernels/rows.cu, kernels/norms.cu, kernels/rotary.cu)

inline constexpr unsigned kRowThreads = 256;
inline constexpr unsigned kMostHeadDim = 256;

struct EmbedArgs {
  const void* weights;  // (vocabulary, hidden)
  const float* scales;  // (vocabulary) or nullptr
  const uint32_t* ids;  // (rows)
  float* hidden;        // (rows, hidden)
  DType dtype;
  uint32_t size;
};

// d_embedding[ids[i]] += the sum of d_hidden's rows order[first[i]] .. order[first[i + 1] - 1], in this order.
struct EmbedBackwardArgs {
  const float* d_hidden;      // (rows, hidden)
  const uint32_t *ids;        // (different ids)
  const uint32_t *first;      // (different ids + 1)
  const uint32_t *order;      // (rows)
  void* d_embedding;          // (vocabulary, hidden)
  DType dtype;                // of it
  uint32_t size;
};

struct AnglesArgs {
  const uint32_t* positions;   // (rows)
  float *cosine, *sine;        // (rows, half)
  uint32_t half;
  double frequencies[kMostHeadDim / 2];  // (half)
};

struct GatherRowsArgs {
  const float* source;
  const uint32_t* rows;
  float* target;  // (rows, columns)
  uint32_t columns;
};

struct SiluArgs {
  const float* gate_up;  // (rows, 2 size)
  float* output;         // (rows, size)
  uint32_t size;
  bool wide;  // rows are whole fours, and every address a multiple of 16 bytes
};

struct SiluBackwardArgs {
  const float* gate_up;   // (rows, 2 size)
  const float* d_output;  // (rows, size)
  float* d_gate_up;       // (rows, 2 size)
  uint32_t size;
  bool wide;  // as SiluArgs'
};

// y (rows, columns) = or += bias
struct AddBiasArgs {
  const void* bias;
  float* y;
  DType dtype;
  uint32_t columns;
  bool accumulate;
};

// y (rows, columns) = y * scales + bias, or y / scales; a scale of 0 belongs to weights of 0, and counts as 1.
struct ScaleColumnsArgs {
  float* y;
  const float* scales;
  const float* bias;  // or nullptr
  uint32_t columns;
  bool divide;
};

// sum[column] += the rows of values, each times row_factors and each element times others, where there are such.
struct ColumnSumsArgs {
  const float* values;       // (rows, columns)
  const float* others;       // (rows, columns) or nullptr
  const float* row_factors;  // (rows) or nullptr
  void* sum;                 // (columns)
  DType sum_dtype;
  float* partials;           // (gridDim.y, columns): the sums of `part_rows` rows each instead; or nullptr, with gridDim.y 1
  uint32_t rows, columns, part_rows;
};
inline constexpr unsigned kSumColumns = 32;  // of one block
inline constexpr unsigned kSumThreads = 512;

struct RmsNormArgs {
  const float* input;
  float* output;
  const void* weight;
  DType dtype;
  uint32_t size;
  float eps;
  bool wide;  // rows of input and output are whole loads of four numbers
};

struct RmsNormBackwardArgs {
  const float *input, *d_output;  // (rows, size)
  const uint32_t* target_rows;    // (rows) or nullptr
  float* d_input;                 // added to
  float* inverse_rms;             // (rows)
  const void* weight;
  DType dtype;
  uint32_t size;
  float eps;
};

// The heads of one kind, queries or keys, of every row.
struct RotaryHeads {
  const void* norm_weight;  // (head_dim) or nullptr
  DType norm_dtype;
  float eps;
  uint32_t first_column;  // of the first head
  uint32_t heads;
};

// One warp turns one head of one row.
struct RotateArgs {
  RotaryHeads of;
  float* qkv;     // (rows, qkv_stride)
  float* raw_qk;  // (rows, raw_stride) or nullptr
  const float *cosine, *sine;
  uint32_t rows, head_dim, qkv_stride, raw_stride;
};

struct RotateBackwardArgs {
  RotaryHeads of;
  float* d_qkv;         // (rows, qkv_stride), in place
  const float* raw_qk;  // (rows, raw_stride)
  const float *cosine, *sine;
  float* d_weights;  // (blocks, head_dim): what each block adds to the gradient of the norm's weight
  uint32_t rows, head_dim, qkv_stride, raw_stride;
};
inline constexpr unsigned kRotateThreads = 128;
inline constexpr unsigned kRotateBackwardThreads = 256;
inline constexpr unsigned kRotateBackwardBlocks = 256;  // at most

struct RowProductsArgs {
  const float* input;  // (rows, size)
  const void* weight;
  float* values;  // (rows)
  DType dtype;
  uint32_t size;
};

// target (rows, size) = factors[row] * weight
struct OuterProductArgs {
  const float* factors;
  const void* weight;
  float* target;
  DType dtype;
  uint32_t size;
};

// ---------------------------------------------------------------------------------------------------------------------
// Linear layers (kernels/linear.cu)

// C (rows, columns) = or += A (rows, steps) * B (steps, columns) + bias: A is float32, B of the kernel's type, C float32 but
// for the gradient of weights, which is of the kernel's.
struct ProductArgs {
  const float* a;
  const void* b;
  const float* scales;  // of B's rows or columns, as the kernel says; or nullptr
  const void* bias;     // (columns) or nullptr
  void* c;
  uint64_t rows, columns, steps;
  DType bias_dtype;
  bool accumulate;
};
inline constexpr unsigned kProductTile = 64;  // rows and columns of one block
inline constexpr unsigned kProductSteps = 16;
inline constexpr unsigned kProductThreads = 256;

// source[i] = high[i] + rest[i], all but the last bits: what a product of 16-bit matrices is given for a float32 one.
struct SplitArgs {
  const float* source;
  void *high, *rest;
  uint64_t elements;
  DType dtype;  // of the parts
  bool wide;    // as AdamWArgs'
  void* last = nullptr;  // what two parts leave
};

// target[i] = source[i] in another storage type.
struct ConvertArgs {
  const void* source;
  void* target;
  uint64_t elements;
  DType source_dtype, target_dtype;
  bool wide;  // as AdamWArgs'
};

// ---------------------------------------------------------------------------------------------------------------------
// Attention over the paged cache (kernels/paged_attention.cu)

// Rows of a step that follow one another in one sequence.
struct StepTile {
  uint32_t first_row, rows, first_position;
  uint32_t table;  // where the sequence's blocks begin in the tables
};
inline constexpr unsigned kStepTileRows = 16;

struct PagedCache {
  std::byte* first;
  uint64_t block_stride_bytes;
  uint32_t block_tokens, kv_heads, head_dim;
};

struct StoreKeysValuesArgs {
  PagedCache cache;
  DType dtype;
  const float* qkv;  // (rows, qkv_stride)
  const uint32_t* positions;
  const uint32_t* row_tables;  // (rows): where the blocks of the row's sequence begin in the tables
  const uint32_t* tables;
  uint32_t q_size, qkv_stride;
};

// What RotateArgs and StoreKeysValuesArgs ask for, in one go; keys and values are then in the cache alone.
struct RotateAndStoreArgs {
  RotaryHeads queries, keys;
  StoreKeysValuesArgs store;
  float* qkv;
  const float *cosine, *sine;
  uint32_t rows;
};

// A block holds kPagedQueries (row, head) pairs that share one key head, against kPagedTokens tokens at a time.
struct PagedAttentionArgs {
  PagedCache cache;
  const float* qkv;
  const StepTile* tiles;
  const uint32_t* tables;
  float* output;    // (rows, heads, head_dim), or with several splits the partials' weighted values
  float* partials;  // (rows, heads, splits, 2): largest score and sum; nullptr: one split
  uint32_t heads, qkv_stride, chunks, splits, split_tokens;
  float scale;
  bool wide;  // what is loaded 16 bytes at a time begins at a multiple of them
};
inline constexpr unsigned kPagedThreads = 128;
inline constexpr unsigned kPagedQueries = 16;
inline constexpr unsigned kPagedTokens = 32;
// Shared memory: queries, keys, values, probabilities, corrections, and where each token lies.
constexpr unsigned PagedSharedBytes(unsigned padded_dim) {
  return (kPagedQueries + 2 * kPagedTokens) * padded_dim * 4 + kPagedQueries * (kPagedTokens + 1) * 4 + kPagedTokens * 12;
}

struct PagedCombineArgs {
  const float* values;    // (rows * heads, splits, head_dim)
  const float* partials;  // (rows * heads, splits, 2)
  float* output;          // (rows * heads, head_dim)
  uint32_t splits, head_dim;
};

// ---------------------------------------------------------------------------------------------------------------------
// Attention of whole sequences (kernels/attention.cu)

// Rows [first, first + the kernel's tile) of a sequence, which is the rows [begin, end).
struct SequenceTile {
  uint32_t first, begin, end;
};

struct AttentionArgs {
  const float* qkv;  // (rows, qkv_stride)
  float* output;     // (rows, q)
  float* log_sums;   // (rows, heads)
  const float* d_output;  // (rows, q); backward
  float* d_qkv;           // (rows, qkv_stride); backward
  const SequenceTile* tiles;
  uint32_t rows, heads, kv_heads, head_dim, qkv_stride;
  float scale;
  float* partials;  // (parts, rows, 2 kv): gradients of keys and values, in tensor_attention.cu, where parts > 1
  uint32_t parts;   // that the query heads of one key head are cut into
};
inline constexpr unsigned kAttentionThreads = 256;
// Floats from row to row of a tile in shared memory: whole float4, and neighbouring rows in different banks.
constexpr unsigned TileStride(unsigned head_dim) { return (head_dim + 3) / 4 * 4 + 4; }
// Rows of a tile, as large as shared memory lets it be; padded_dim is 64, 128 or 256.
constexpr unsigned ForwardTile(unsigned padded_dim) { return padded_dim <= 128 ? 64 : 32; }
constexpr unsigned BackwardTile(unsigned padded_dim) { return padded_dim <= 64 ? 64 : 32; }
constexpr unsigned ForwardSharedBytes(unsigned tile, unsigned head_dim) {
  return (2 * tile * TileStride(head_dim) + tile * (tile + 1)) * 4;
}
constexpr unsigned BackwardSharedBytes(unsigned tile, unsigned head_dim) {
  return (4 * tile * TileStride(head_dim) + tile * (tile + 1) + 2 * tile) * 4;
}

// The same on tensor cores (kernels/tensor_attention.cu), for heads whose numbers are whole steps of 8, at most 128.
inline constexpr unsigned kTensorThreads = 128;
inline constexpr unsigned kTensorTile = 64;   // rows of a block: 16 of each warp
inline constexpr unsigned kTensorOther = 32;  // of the other side, at a time, in the backward pass
// Neighbouring rows begin 4 banks apart, so neither 8 rows of 4 numbers nor 4 pairs of rows of 8 meet in one.
constexpr unsigned TensorStride(unsigned padded_dim) { return padded_dim + 4; }
constexpr unsigned TensorForwardBytes(unsigned padded_dim) { return 3 * kTensorTile * TensorStride(padded_dim) * 4; }
constexpr unsigned TensorBackwardBytes(unsigned padded_dim) {
  return (2 * (kTensorTile + kTensorOther) * TensorStride(padded_dim) + 2 * kTensorTile) * 4;
}

// ---------------------------------------------------------------------------------------------------------------------
// Heads (kernels/heads.cu)

struct TokenStatisticsArgs {
  const float* logits;  // (rows, vocabulary)
  const uint32_t* targets;
  float *log_sums, *logprobs, *entropies;  // (rows)
  uint32_t vocabulary;
};
inline constexpr unsigned kTokenThreads = 512;

struct TokenSlope {
  float log_sum, entropy, for_logprob, for_entropy;
};
struct TokenBackwardArgs {
  float* logits;
  const uint32_t* targets;
  const TokenSlope* slopes;  // (rows)
  uint32_t vocabulary;
};

// ---------------------------------------------------------------------------------------------------------------------
// Optimizer (kernels/optimizer.cu)

// Of the kernel's type.
struct NumberSpan {
  const void* first;
  uint64_t elements;
};
// A block takes one range.
struct SumSquaresArgs {
  const NumberSpan* ranges;  // (gridDim.x)
  double* sums;              // (gridDim.x)
};

struct AdamWArgs {
  void* stored;
  float* master;  // or nullptr
  const void* gradients;
  void *first, *second;
  uint64_t elements;
  bool wide;  // whole fours, and every address a multiple of 16 bytes
  float gradient_scale, beta1, beta2, eps, decay, step_size, second_scale;
};

}  // namespace tideline::cuda
