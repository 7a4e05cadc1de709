// What the kernels of generation are given (kernels/few_rows.cu, kernels/choose.cu), as in kernel_args.h.
#pragma once

#include <cstdint>

#include "compute/dtype.h"  // DType

namespace tideline::cuda {

// ---------------------------------------------------------------------------------------------------------------------
// Linear layers of a few rows (kernels/few_rows.cu)

// y (rows, outputs) = or += norm(x) (rows, inputs) * W^T + bias, for at most kMatVecRows rows: W is read once. Where it is
// gated, W is (2 outputs, inputs) and y = silu(the first half) * the second.
struct MatVecArgs {
  const float* x;
  const void* weights;
  const float* scales;
  const void* bias;
  const void* norm;  // (inputs), of the weights' type; nullptr: x as it is
  float* y;
  uint32_t rows, outputs, inputs;
  float eps;
  DType bias_dtype;
  bool accumulate, gated;
  bool wide;  // every row of x and W, and the norm, starts at a multiple of 16 bytes and is a whole number of 16-byte loads
};
inline constexpr unsigned kMatVecRows = 8;
inline constexpr unsigned kMatVecThreads = 128;

// Of a product of activations in two halves, whose rows lie one below the other: y (rows, columns) = or += the halves'
// sum + bias. Where it is gated there are twice as many columns, and y = silu(the first half) * the second.
struct AddHalvesArgs {
  const float* halves;  // (2 rows, columns)
  const void* bias;     // (columns)
  float* y;             // (rows, y_stride)
  uint32_t rows, columns, y_stride;
  DType bias_dtype;
  bool accumulate, gated;
};

// ---------------------------------------------------------------------------------------------------------------------
// Choosing tokens (kernels/choose.cu)

// What is known of a part of a row of logits, and of the whole row.
struct LogitsPart {
  double sum;     // of exp(logit - largest)
  float largest;  // -infinity: there is none
  uint32_t token;
};

struct LogitsPartsArgs {
  const float* logits;  // (rows, vocabulary)
  LogitsPart* parts;    // (rows, parts_each)
  uint32_t vocabulary, parts_each;
};
inline constexpr unsigned kLogitsThreads = 512;
inline constexpr unsigned kLogitsPartTokens = 4096;

// How a row's token is drawn.
struct TokenDraw {
  double uniform;  // in [0, 1)
  double top_p;    // 1: off
  uint64_t top_k;  // 0: off
  float scale;     // 1 / temperature; 0: the largest is taken
};

struct ChosenToken {
  uint32_t token;  // kNoToken: the logits are not numbers
  float logprob;
};
inline constexpr uint32_t kNoToken = ~uint32_t{0};

struct ChooseArgs {
  const float* logits;     // (rows, vocabulary)
  const LogitsPart* parts;
  const TokenDraw* draws;  // (rows); nullptr: all take the largest
  ChosenToken* chosen;     // (rows)
  uint32_t vocabulary, parts_each;
};
inline constexpr unsigned kChooseThreads = 1024;

}  // namespace tideline::cuda
