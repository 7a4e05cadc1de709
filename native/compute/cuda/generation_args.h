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
  LogitsPart* parts;    // (rows, parts)
  uint32_t vocabulary, parts;
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
  const float* logits;
  const LogitsPart* parts;
  const TokenDraw* draws;  // (rows); nullptr: all take the largest
  float* weights;          // (rows, vocabulary): over the logits
  ChosenToken* chosen;     // (rows)
  uint32_t vocabulary, part_count;
};
inline constexpr unsigned kChooseThreads = 1024;

}  // namespace tideline::cuda
