// The arithmetic that training needs beside the engine's (kernels.h), compiled for the same three instruction
// sets from one source (training_kernels_body.h).
//
// The rule that makes training reproducible: every output element is computed by the same operations in the same order
// whatever the number of threads, so gradients are the same bits on one core and on sixty-four.
#pragma once

#include <cstdint>

#include "compute/dtype.h"  // DType

namespace tideline {

// C (rows, columns) = [C +] A (rows, steps) * B (steps, columns), any strides, counted in elements:
// dX = dY * W and dW += dY^T * X are the same product with other strides.
struct ProductArgs {
  const float* a;
  uint64_t a_row, a_step;  // A[i][s] at a[i * a_row + s * a_step]
  const void* b;
  DType b_dtype;
  uint64_t b_step, b_column;  // B[s][j] at b[s * b_step + j * b_column]; one of them is 1
  float* c;
  uint64_t c_row;  // C[i][j] at c[i * c_row + j]
  uint64_t rows, columns, steps;
  bool accumulate;
  float* scratch;  // kProductScratchFloats floats of this worker
};

// Packed blocks of A and B: widest vectors, see training_kernels_body.h.
inline constexpr uint64_t kProductScratchFloats = 96 * 128 + 128 * 64;

struct AdamWArgs {
  float* parameters;  // updated in place; in float32
  const float* gradients;
  float* first;   // running mean of gradients
  float* second;  // running mean of their squares
  uint64_t count;
  float gradient_scale;  // of clipping
  float beta1, beta2, eps;
  float decay;             // 1 - learning rate * weight decay
  float step_size;         // learning rate / (1 - beta1^t)
  float second_scale;      // 1 / sqrt(1 - beta2^t)
};

struct TrainingKernels {
  const char* isa;

  void (*product)(const ProductArgs& args);
  // d_input += the gradient through output = input / rms(input) * weight. Returns 1 / rms(input).
  float (*rms_norm_backward)(float* d_input, const float* input, const void* weight, DType dtype,
                             const float* d_output, uint64_t size, float eps);
  // sum[i] += d_output[i] * input[i] * inverse_rms: what a row adds to the gradient of a norm's weight.
  void (*add_scaled_product)(float* sum, const float* d_output, const float* input, float inverse_rms, uint64_t size);
  // sum[i] += values[i]
  void (*add)(float* sum, const float* values, uint64_t size);
  // The gradients of gate and up through silu(gate) * up.
  void (*silu_multiply_backward)(float* d_gate, float* d_up, const float* gate, const float* up, const float* d_output,
                                 uint64_t size);
  float (*dot)(const float* a, const float* b, uint64_t size);
  float (*max)(const float* values, uint64_t count);
  // d_scores = probabilities * (d_probabilities - shift) * scale, over d_probabilities.
  void (*softmax_backward)(float* d_probabilities, const float* probabilities, float shift, float scale, uint64_t count);
  // total = sum(exp(values - shift)), weighted = sum(exp(values - shift) * (values - shift)), both in double.
  void (*exp_moments)(const float* values, uint64_t count, float shift, double* total, double* weighted);
  // Over logits: -p * (for_logprob + for_entropy * (log p + entropy)), with log p = logit - log_sum. The gradient of
  // for_logprob * logprob(token) + for_entropy * entropy, less the `for_logprob` that the token itself adds.
  void (*token_backward)(float* logits, uint64_t count, float log_sum, float for_logprob, float for_entropy,
                         float entropy);
  // Sum of squares, in double.
  double (*sum_squares)(const float* values, uint64_t count);
  // One AdamW step (decoupled weight decay, Loshchilov and Hutter 2019, as torch.optim.AdamW orders it).
  void (*adamw)(const AdamWArgs& args);
};

// For the instruction set of BestKernels().
const TrainingKernels& BestTrainingKernels();
// nullptr when this CPU cannot run them.
const TrainingKernels* TrainingKernelsFor(const char* isa);

}  // namespace tideline
