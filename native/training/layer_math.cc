#include "training/layer_math.h"

#include <algorithm>

#include "compute/host/kernels.h"             // BestKernels
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// Output columns of one forward task; rows and columns of one block of a gradient.
constexpr uint64_t kForwardColumns = 32;
constexpr uint64_t kBlockRows = 96;
constexpr uint64_t kBlockColumns = 256;
// Columns of one task that walks down all rows.
constexpr uint64_t kSumColumns = 64;

constexpr uint64_t Tasks(uint64_t count, uint64_t grain) { return (count + grain - 1) / grain; }

struct Block {
  uint64_t row, rows, column, columns;
};

// Calls work(block, worker) for every block of a matrix.
template <typename Work>
void ForBlocks(ThreadPool& pool, uint64_t rows, uint64_t columns, const Work& work) {
  const uint64_t across = Tasks(columns, kBlockColumns);
  pool.ParallelFor(Tasks(rows, kBlockRows) * across, [&](uint64_t task, unsigned worker) {
    const uint64_t row = task / across * kBlockRows, column = task % across * kBlockColumns;
    work(Block{row, std::min(kBlockRows, rows - row), column, std::min(kBlockColumns, columns - column)}, worker);
  });
}

}  // namespace

void LinearForward(const Compute& compute, const LinearWeights& linear, const float* x, float* y, uint64_t rows,
                   bool accumulate) {
  MatMulArgs args{.x = x,
                  .weights = linear.weights,
                  .dtype = linear.dtype,
                  .bias = linear.bias,
                  .y = y,
                  .y_stride = linear.outputs,
                  .rows = rows,
                  .k = linear.inputs,
                  .accumulate = accumulate,
                  .scratch = nullptr,
                  .scales = linear.scales};
  compute.pool.ParallelFor(Tasks(linear.outputs, kForwardColumns), [&](uint64_t task, unsigned worker) {
    MatMulArgs mine = args;
    mine.scratch = compute.ScratchOf(worker);
    BestKernels().matmul(mine, task * kForwardColumns, std::min(linear.outputs, (task + 1) * kForwardColumns));
  });
}

void LinearInputGradient(const Compute& compute, const LinearWeights& linear, const float* d_y, float* d_x,
                         uint64_t rows) {
  const uint64_t outputs = linear.outputs, inputs = linear.inputs;
  ForBlocks(compute.pool, rows, inputs, [&](const Block& block, unsigned worker) {
    const auto& [row, count, column, columns] = block;
    BestTrainingKernels().product({.a = d_y + row * outputs,
                                   .a_row = outputs,
                                   .a_step = 1,
                                   .b = linear.weights + column * DTypeBytes(linear.dtype),
                                   .b_dtype = linear.dtype,
                                   .b_step = inputs,
                                   .b_column = 1,
                                   .c = d_x + row * inputs + column,
                                   .c_row = inputs,
                                   .rows = count,
                                   .columns = columns,
                                   .steps = outputs,
                                   .accumulate = false,
                                   .scratch = compute.ScratchOf(worker)});
  });
}

void LinearWeightGradient(const Compute& compute, const LinearWeights& linear, const float* d_y, const float* x,
                          std::span<const RowRange> pieces, float* d_w) {
  const uint64_t outputs = linear.outputs, inputs = linear.inputs;
  ForBlocks(compute.pool, outputs, inputs, [&](const Block& block, unsigned worker) {
    const auto& [row, count, column, columns] = block;
    for (const RowRange& piece : pieces) {
      BestTrainingKernels().product({.a = d_y + piece.begin * outputs + row,
                                     .a_row = 1,
                                     .a_step = outputs,
                                     .b = x + piece.begin * inputs + column,
                                     .b_dtype = DType::kF32,
                                     .b_step = inputs,
                                     .b_column = 1,
                                     .c = d_w + row * inputs + column,
                                     .c_row = inputs,
                                     .rows = count,
                                     .columns = columns,
                                     .steps = piece.size(),
                                     .accumulate = true,
                                     .scratch = compute.ScratchOf(worker)});
    }
  });
}

void BiasGradient(const Compute& compute, const float* d_y, uint64_t columns, std::span<const RowRange> pieces,
                  float* sum) {
  compute.pool.ParallelFor(Tasks(columns, kSumColumns), [&](uint64_t task, unsigned) {
    const uint64_t column = task * kSumColumns, count = std::min(kSumColumns, columns - column);
    for (const RowRange& piece : pieces) {
      float partial[kSumColumns] = {};
      for (uint64_t row = piece.begin; row < piece.end; ++row) {
        BestTrainingKernels().add(partial, d_y + row * columns + column, count);
      }
      BestTrainingKernels().add(sum + column, partial, count);
    }
  });
}

void NormForward(const Compute& compute, const NormWeights& norm, const float* input, float* output, uint64_t rows) {
  compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
    BestKernels().rms_norm(output + row * norm.size, input + row * norm.size, norm.weight, norm.dtype, norm.size,
                           norm.eps);
  });
}

void NormBackward(const Compute& compute, const NormWeights& norm, const NormBackwardArgs& args) {
  const uint64_t size = norm.size;
  compute.pool.ParallelFor(args.rows, [&](uint64_t row, unsigned) {
    const uint64_t target = args.target_rows == nullptr ? row : args.target_rows[row];
    args.inverse_rms[row] =
        BestTrainingKernels().rms_norm_backward(args.d_input + target * size, args.input + row * size, norm.weight,
                                                norm.dtype, args.d_output + row * size, size, norm.eps);
  });
  compute.pool.ParallelFor(Tasks(size, kSumColumns), [&](uint64_t task, unsigned) {
    const uint64_t column = task * kSumColumns, count = std::min(kSumColumns, size - column);
    for (const RowRange& piece : args.pieces) {
      float partial[kSumColumns] = {};
      for (uint64_t row = piece.begin; row < piece.end; ++row) {
        BestTrainingKernels().add_scaled_product(partial, args.d_output + row * size + column,
                                                 args.input + row * size + column, args.inverse_rms[row], count);
      }
      BestTrainingKernels().add(args.d_weight + column, partial, count);
    }
  });
}

}  // namespace tideline
