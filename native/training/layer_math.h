// What every layer is made of, forward and backward, spread over the thread pool: linear layers, norms and their
// gradients. Work is cut by shape alone, never by the number of threads, so results do not depend on it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "compute/dtype.h"               // DType
#include "compute/host/kernels.h"             // kMatMulScratchFloats
#include "compute/host/thread_pool.h"         // ThreadPool
#include "compute/batch.h"             // RowRange
#include "compute/host/training_kernels.h"  // kProductScratchFloats

namespace tideline {

// Who computes, and each worker's scratch (inside the `activations` region).
struct Compute {
  ThreadPool& pool;
  float* scratch;           // (threads, scratch_stride)
  uint64_t scratch_stride;  // at least kLayerScratchFloats

  float* ScratchOf(unsigned worker) const { return scratch + worker * scratch_stride; }
};

// Scratch of one worker.
inline constexpr uint64_t kLayerScratchFloats = std::max(kMatMulScratchFloats, kProductScratchFloats);

struct LinearWeights {
  const std::byte* weights;  // (outputs, inputs)
  const float* scales;       // (outputs) of int8 weights, or nullptr
  const std::byte* bias;     // (outputs), or nullptr
  DType dtype;               // of the weights; a bias beside int8 is float32
  uint64_t outputs, inputs;
};

// y (rows, outputs) = or += x (rows, inputs) * W^T + bias
void LinearForward(const Compute& compute, const LinearWeights& linear, const float* x, float* y, uint64_t rows,
                   bool accumulate);
// d_x (rows, inputs) = d_y (rows, outputs) * W
void LinearInputGradient(const Compute& compute, const LinearWeights& linear, const float* d_y, float* d_x,
                         uint64_t rows);
// d_w (outputs, inputs) += d_y^T * x, piece by piece
void LinearWeightGradient(const Compute& compute, const LinearWeights& linear, const float* d_y, const float* x,
                          std::span<const RowRange> pieces, float* d_w);
// sum (columns) += the rows of d_y, piece by piece
void BiasGradient(const Compute& compute, const float* d_y, uint64_t columns, std::span<const RowRange> pieces,
                  float* sum);

struct NormWeights {
  const std::byte* weight;  // (size)
  DType dtype;
  uint64_t size;
  float eps;
};

// output (rows, size) = input / rms(input) * weight
void NormForward(const Compute& compute, const NormWeights& norm, const float* input, float* output, uint64_t rows);

struct NormBackwardArgs {
  const float* input;      // (rows, size)
  const float* d_output;   // (rows, size)
  float* d_input;          // added to: row r at target_rows[r], or at r when there are none
  const uint32_t* target_rows;
  float* inverse_rms;      // scratch: (rows)
  float* d_weight;         // (size), added to piece by piece
  uint64_t rows;
  std::span<const RowRange> pieces;
};
void NormBackward(const Compute& compute, const NormWeights& norm, const NormBackwardArgs& args);

}  // namespace tideline
