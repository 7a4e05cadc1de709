// HostCompute: linear layers, norms, rotations and activations, forward and backward.
#include <algorithm>
#include <cstring>

#include "compute/host/gradient.h"          // AddInFloat32
#include "compute/host/host_compute.h"
#include "compute/host/kernels.h"           // BestKernels
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// Output columns of one forward task: at least so many, and more where they are little work. Whole tiles of a kernel.
constexpr uint64_t kForwardColumns = 32;
constexpr uint64_t kForwardTaskWork = 1 << 17;
constexpr uint64_t kTileColumns = 8;
// Rows and columns of one block of a gradient.
constexpr uint64_t kBlockRows = 96;
constexpr uint64_t kBlockColumns = 256;
// Columns of one task that walks down all rows.
constexpr uint64_t kSumColumns = 64;
// What else takes about as long as how many multiply-adds.
constexpr uint64_t kNormWork = 2;
constexpr uint64_t kRotateWork = 4;
constexpr uint64_t kSiluWork = 8;

constexpr uint64_t Tasks(uint64_t count, uint64_t grain) { return (count + grain - 1) / grain; }

// Blocks of a matrix, numbered row by row.
class Blocks {
 public:
  struct Block {
    uint64_t row, rows, column, columns;
  };
  Blocks(uint64_t rows, uint64_t columns) : rows_(rows), columns_(columns) {}
  uint64_t count() const { return Tasks(rows_, kBlockRows) * across_; }
  Block At(uint64_t index) const {
    const uint64_t row = index / across_ * kBlockRows, column = index % across_ * kBlockColumns;
    return {row, std::min(kBlockRows, rows_ - row), column, std::min(kBlockColumns, columns_ - column)};
  }

 private:
  const uint64_t rows_, columns_, across_ = Tasks(columns_, kBlockColumns);
};

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Linear layers

void HostCompute::LinearForward(const LinearWeights& linear, const float* x, float* y, uint64_t rows, bool accumulate) {
  const MatMulArgs args{.x = x,
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
  const uint64_t column_work = rows * linear.inputs;
  const uint64_t grain = std::max(kForwardColumns, kForwardTaskWork / column_work / kTileColumns * kTileColumns);
  Share(Tasks(linear.outputs, grain), column_work * grain, [&](uint64_t task, unsigned worker) {
    MatMulArgs mine = args;
    mine.scratch = ScratchOf(worker);
    BestKernels().matmul(mine, task * grain, std::min(linear.outputs, (task + 1) * grain));
  });
}

void HostCompute::LinearInputGradient(const LinearWeights& linear, const float* d_y, float* d_x, uint64_t rows) {
  const uint64_t outputs = linear.outputs, inputs = linear.inputs;
  const Blocks blocks(rows, inputs);
  Share(blocks.count(), kBlockRows * kBlockColumns * outputs, [&](uint64_t task, unsigned worker) {
    const auto [row, count, column, columns] = blocks.At(task);
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
                                   .scratch = ScratchOf(worker)});
  });
}

void HostCompute::LinearWeightGradient(const LinearWeights& linear, const float* d_y, const float* x,
                                       std::span<const RowRange> pieces, const Gradient& d_w) {
  const uint64_t outputs = linear.outputs, inputs = linear.inputs;
  const Blocks blocks(outputs, inputs);
  Share(blocks.count(), kBlockRows * kBlockColumns * (pieces.empty() ? 0 : pieces.back().end),
        [&](uint64_t task, unsigned worker) {
    const Blocks::Block block = blocks.At(task);
    float copy[kBlockRows * kBlockColumns];
    AddInFloat32(d_w, {block.row * inputs + block.column, block.rows, inputs, block.columns}, copy,
                 [&](float* sums, uint64_t stride) {
      for (const RowRange& piece : pieces) {
        BestTrainingKernels().product({.a = d_y + piece.begin * outputs + block.row,
                                       .a_row = 1,
                                       .a_step = outputs,
                                       .b = x + piece.begin * inputs + block.column,
                                       .b_dtype = DType::kF32,
                                       .b_step = inputs,
                                       .b_column = 1,
                                       .c = sums,
                                       .c_row = stride,
                                       .rows = block.rows,
                                       .columns = block.columns,
                                       .steps = piece.size(),
                                       .accumulate = true,
                                       .scratch = ScratchOf(worker)});
      }
    });
  });
}

void HostCompute::BiasGradient(const float* d_y, uint64_t columns, std::span<const RowRange> pieces, const Gradient& sum) {
  Share(Tasks(columns, kSumColumns), kSumColumns * (pieces.empty() ? 0 : pieces.back().end),
        [&](uint64_t task, unsigned) {
    const uint64_t column = task * kSumColumns, count = std::min(kSumColumns, columns - column);
    float copy[kSumColumns];
    AddInFloat32(sum, {column, 1, columns, count}, copy, [&](float* sums, uint64_t) {
      for (const RowRange& piece : pieces) {
        float partial[kSumColumns] = {};
        for (uint64_t row = piece.begin; row < piece.end; ++row) {
          BestTrainingKernels().add(partial, d_y + row * columns + column, count);
        }
        BestTrainingKernels().add(sums, partial, count);
      }
    });
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Norms

void HostCompute::NormForward(const NormWeights& norm, const float* input, float* output, uint64_t rows) {
  Share(rows, kNormWork * norm.size, [&](uint64_t row, unsigned) {
    BestKernels().rms_norm(output + row * norm.size, input + row * norm.size, norm.weight, norm.dtype, norm.size,
                           norm.eps);
  });
}

void HostCompute::NormBackward(const NormWeights& norm, const NormBackwardArgs& args) {
  const uint64_t size = norm.size;
  Share(args.rows, 2 * kNormWork * size, [&](uint64_t row, unsigned) {
    const uint64_t target = args.target_rows.empty() ? row : args.target_rows[row];
    args.inverse_rms[row] =
        BestTrainingKernels().rms_norm_backward(args.d_input + target * size, args.input + row * size, norm.weight,
                                                norm.dtype, args.d_output + row * size, size, norm.eps);
  });
  Share(Tasks(size, kSumColumns), kNormWork * kSumColumns * args.rows, [&](uint64_t task, unsigned) {
    const uint64_t column = task * kSumColumns, count = std::min(kSumColumns, size - column);
    float copy[kSumColumns];
    AddInFloat32(args.d_weight, {column, 1, size, count}, copy, [&](float* sums, uint64_t) {
      for (const RowRange& piece : args.pieces) {
        float partial[kSumColumns] = {};
        for (uint64_t row = piece.begin; row < piece.end; ++row) {
          BestTrainingKernels().add_scaled_product(partial, args.d_output + row * size + column,
                                                   args.input + row * size + column, args.inverse_rms[row], count);
        }
        BestTrainingKernels().add(sums, partial, count);
      }
    });
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Queries and keys: the key heads follow the query heads

void HostCompute::Rotate(const RotaryArgs& rotary, float* qkv, float* raw_qk) {
  const HeadShape& shape = rotary.shape;
  const uint64_t head_dim = shape.head_dim, half = head_dim / 2, qk_size = shape.qk_size();
  Share(batch_.rows(), kRotateWork * shape.qkv_size(), [&](uint64_t row, unsigned) {
    float* first = qkv + row * shape.qkv_size();
    if (raw_qk != nullptr) std::memcpy(raw_qk + row * qk_size, first, qk_size * sizeof(float));
    for (uint64_t head = 0; head < shape.heads + shape.kv_heads; ++head) {
      float* vector = first + head * head_dim;
      const NormWeights& norm = head < shape.heads ? rotary.q_norm : rotary.k_norm;
      if (norm.weight != nullptr) {
        BestKernels().rms_norm(vector, vector, norm.weight, norm.dtype, norm.size, norm.eps);
      }
      BestKernels().rope(vector, rotary.cosine + row * half, rotary.sine + row * half, half);
    }
  });
}

void HostCompute::RotateBackward(const RotaryArgs& rotary, const float* raw_qk, float* d_qkv,
                                 const Gradient& d_q_norm, const Gradient& d_k_norm) {
  const HeadShape& shape = rotary.shape;
  const uint64_t head_dim = shape.head_dim, half = head_dim / 2, qk_size = shape.qk_size(), stride = shape.qkv_size();
  const uint64_t rows = batch_.rows();

  Share(rows, kRotateWork * qk_size, [&](uint64_t row, unsigned) {
    const float *cosine = rotary.cosine + row * half, *sine = rotary.sine + row * half;
    for (uint64_t head = 0; head < shape.heads + shape.kv_heads; ++head) {
      float* d = d_qkv + row * stride + head * head_dim;
      for (uint64_t i = 0; i < half; ++i) {  // a rotation's transpose is the rotation backwards
        const float first = d[i], second = d[half + i];
        d[i] = first * cosine[i] + second * sine[i];
        d[half + i] = second * cosine[i] - first * sine[i];
      }
    }
  });
  if (rotary.q_norm.weight == nullptr) return;

  // The two norms: one task each, since every head of every row adds to the same weight.
  Share(2, 2 * kNormWork * rows * qk_size / 2, [&](uint64_t task, unsigned) {
    const bool keys = task == 1;
    const NormWeights& norm = keys ? rotary.k_norm : rotary.q_norm;
    const uint64_t first_head = keys ? shape.heads : 0, end_head = keys ? shape.heads + shape.kv_heads : shape.heads;
    std::vector<float> partial(head_dim), d_input(head_dim), copy(head_dim);
    AddInFloat32(keys ? d_k_norm : d_q_norm, {0, 1, head_dim, head_dim}, copy, [&](float* sums, uint64_t) {
      for (const RowRange& piece : batch_.pieces) {
        std::fill(partial.begin(), partial.end(), 0.0f);
        for (uint64_t row = piece.begin; row < piece.end; ++row) {
          for (uint64_t head = first_head; head < end_head; ++head) {
            float* d_output = d_qkv + row * stride + head * head_dim;
            const float* input = raw_qk + row * qk_size + head * head_dim;
            std::fill(d_input.begin(), d_input.end(), 0.0f);
            const float inverse_rms = BestTrainingKernels().rms_norm_backward(d_input.data(), input, norm.weight,
                                                                              norm.dtype, d_output, head_dim, norm.eps);
            BestTrainingKernels().add_scaled_product(partial.data(), d_output, input, inverse_rms, head_dim);
            std::copy_n(d_input.data(), head_dim, d_output);
          }
        }
        BestTrainingKernels().add(sums, partial.data(), head_dim);
      }
    });
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// The rest of a layer

void HostCompute::SiluMultiply(const float* gate_up, float* output, uint64_t rows, uint64_t size) {
  Share(rows, kSiluWork * size, [&](uint64_t row, unsigned) {
    const float* gate = gate_up + row * 2 * size;
    BestKernels().silu_multiply(output + row * size, gate, gate + size, size);
  });
}

void HostCompute::SiluMultiplyBackward(const float* gate_up, const float* d_output, float* d_gate_up, uint64_t rows,
                                       uint64_t size) {
  Share(rows, 2 * kSiluWork * size, [&](uint64_t row, unsigned) {
    const float* gate = gate_up + row * 2 * size;
    float* d_gate = d_gate_up + row * 2 * size;
    BestTrainingKernels().silu_multiply_backward(d_gate, d_gate + size, gate, gate + size, d_output + row * size, size);
  });
}

void HostCompute::GatherRows(const float* source, std::span<const uint32_t> rows, uint64_t columns, float* target) {
  for (size_t index = 0; index < rows.size(); ++index) {
    std::memcpy(target + index * columns, source + rows[index] * columns, columns * sizeof(float));
  }
}

}  // namespace tideline
