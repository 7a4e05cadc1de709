#include "training/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/host/kernels.h"             // BestKernels
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// Queries whose scores are held at once.
constexpr uint64_t kTileRows = 96;

// A matrix inside a buffer of rows: one head of q, k, v or of an output.
struct HeadView {
  float* data;
  uint64_t stride;
};
struct ConstHeadView {
  const float* data;
  uint64_t stride;
};

// C (rows, columns) = or += A (rows, steps) * B (steps, columns)
void Multiply(const float* a, uint64_t a_stride, ConstHeadView b, HeadView c, uint64_t rows, uint64_t columns,
              uint64_t steps, bool accumulate, float* scratch) {
  BestTrainingKernels().product({a, a_stride, 1, b.data, DType::kF32, b.stride, 1, c.data, c.stride, rows, columns,
                                 steps, accumulate, scratch});
}

// C (rows, columns) = A (rows, steps) * B^T, B (columns, steps)
void MultiplyTransposed(ConstHeadView a, ConstHeadView b, HeadView c, uint64_t rows, uint64_t columns, uint64_t steps,
                        float* scratch) {
  BestTrainingKernels().product({a.data, a.stride, 1, b.data, DType::kF32, 1, b.stride, c.data, c.stride, rows, columns,
                                 steps, false, scratch});
}

// C (rows, columns) += A^T * B, A (steps, rows), B (steps, columns)
void AddTransposedProduct(const float* a, uint64_t a_stride, ConstHeadView b, HeadView c, uint64_t rows,
                          uint64_t columns, uint64_t steps, float* scratch) {
  BestTrainingKernels().product({a, 1, a_stride, b.data, DType::kF32, b.stride, 1, c.data, c.stride, rows, columns,
                                 steps, true, scratch});
}

float ScaleOf(const AttentionShape& shape) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
}

// One worker's scratch: scores and their gradients of a tile, then what products need.
struct TileScratch {
  TileScratch(float* base, uint64_t most_keys)
      : scores(base), d_scores(base + kTileRows * most_keys), product(base + 2 * kTileRows * most_keys) {}
  float *scores, *d_scores, *product;
};

}  // namespace

uint64_t AttentionScratchFloats(uint64_t sequence_tokens) {
  return 2 * kTileRows * sequence_tokens + kProductScratchFloats;
}

void AttentionForward(const Compute& compute, const AttentionShape& shape, const AttentionBuffers& buffers,
                      std::span<const RowRange> sequences) {
  const uint64_t group = shape.heads / shape.kv_heads, dim = shape.head_dim, stride = shape.qkv_size();
  const float scale = ScaleOf(shape);
  compute.pool.ParallelFor(sequences.size() * shape.heads, [&](uint64_t task, unsigned worker) {
    const RowRange rows = sequences[task / shape.heads];
    const uint64_t head = task % shape.heads, kv = head / group;
    const TileScratch scratch(compute.ScratchOf(worker), rows.size());
    const float* first = buffers.qkv + rows.begin * stride;
    const ConstHeadView keys{first + shape.q_size() + kv * dim, stride};
    const ConstHeadView values{keys.data + shape.kv_heads * dim, stride};
    for (uint64_t tile = 0; tile < rows.size(); tile += kTileRows) {
      const uint64_t queries = std::min(kTileRows, rows.size() - tile), visible = tile + queries;
      const HeadView scores{scratch.scores, visible};
      const ConstHeadView query{first + tile * stride + head * dim, stride};
      MultiplyTransposed(query, keys, scores, queries, visible, dim, scratch.product);
      float* output = buffers.output + (rows.begin + tile) * shape.q_size() + head * dim;
      float inverse_sums[kTileRows];
      for (uint64_t q = 0; q < queries; ++q) {
        float* row = scores.data + q * visible;
        const uint64_t count = tile + q + 1;  // causal: what lies after the query weighs nothing
        const float most = BestTrainingKernels().max(row, count);
        const double sum = BestKernels().exp_sum(row, count, most, scale, row);
        std::fill(row + count, row + visible, 0.0f);
        inverse_sums[q] = static_cast<float>(1.0 / sum);
        buffers.log_sums[(rows.begin + tile + q) * shape.heads + head] =
            static_cast<float>(static_cast<double>(most) * scale + std::log(sum));
      }
      Multiply(scores.data, visible, values, {output, shape.q_size()}, queries, dim, visible, false, scratch.product);
      for (uint64_t q = 0; q < queries; ++q) {
        for (uint64_t d = 0; d < dim; ++d) output[q * shape.q_size() + d] *= inverse_sums[q];
      }
    }
  });
}

void AttentionBackward(const Compute& compute, const AttentionShape& shape, const AttentionBuffers& buffers,
                       const float* d_output, float* d_qkv, std::span<const RowRange> sequences) {
  const uint64_t group = shape.heads / shape.kv_heads, dim = shape.head_dim, stride = shape.qkv_size();
  const uint64_t q_size = shape.q_size();
  const float scale = ScaleOf(shape);
  // One task owns a key head: the query heads that share it add to its gradients in order.
  compute.pool.ParallelFor(sequences.size() * shape.kv_heads, [&](uint64_t task, unsigned worker) {
    const RowRange rows = sequences[task / shape.kv_heads];
    const uint64_t kv = task % shape.kv_heads;
    const TileScratch scratch(compute.ScratchOf(worker), rows.size());
    const float* first = buffers.qkv + rows.begin * stride;
    float* d_first = d_qkv + rows.begin * stride;
    const uint64_t key_column = q_size + kv * dim, value_column = key_column + shape.kv_heads * dim;
    const ConstHeadView keys{first + key_column, stride}, values{first + value_column, stride};
    const HeadView d_keys{d_first + key_column, stride}, d_values{d_first + value_column, stride};
    for (uint64_t row = 0; row < rows.size(); ++row) {
      std::memset(d_keys.data + row * stride, 0, dim * sizeof(float));
      std::memset(d_values.data + row * stride, 0, dim * sizeof(float));
    }
    for (uint64_t head = kv * group; head < (kv + 1) * group; ++head) {
      for (uint64_t tile = 0; tile < rows.size(); tile += kTileRows) {
        const uint64_t queries = std::min(kTileRows, rows.size() - tile), visible = tile + queries;
        const ConstHeadView query{first + tile * stride + head * dim, stride};
        const ConstHeadView d_out{d_output + (rows.begin + tile) * q_size + head * dim, q_size};
        const float* out = buffers.output + (rows.begin + tile) * q_size + head * dim;
        MultiplyTransposed(query, keys, {scratch.scores, visible}, queries, visible, dim, scratch.product);
        MultiplyTransposed(d_out, values, {scratch.d_scores, visible}, queries, visible, dim, scratch.product);
        for (uint64_t q = 0; q < queries; ++q) {
          float* probabilities = scratch.scores + q * visible;
          float* d_scores = scratch.d_scores + q * visible;
          const uint64_t count = tile + q + 1;
          const float log_sum = buffers.log_sums[(rows.begin + tile + q) * shape.heads + head];
          BestKernels().exp_sum(probabilities, count, log_sum / scale, scale, probabilities);
          const float shift = BestTrainingKernels().dot(d_out.data + q * q_size, out + q * q_size, dim);
          BestTrainingKernels().softmax_backward(d_scores, probabilities, shift, scale, count);
          std::fill(probabilities + count, probabilities + visible, 0.0f);
          std::fill(d_scores + count, d_scores + visible, 0.0f);
        }
        AddTransposedProduct(scratch.scores, visible, d_out, d_values, visible, dim, queries, scratch.product);
        Multiply(scratch.d_scores, visible, keys, {d_first + tile * stride + head * dim, stride}, queries, dim, visible,
                 false, scratch.product);
        AddTransposedProduct(scratch.d_scores, visible, query, d_keys, visible, dim, queries, scratch.product);
      }
    }
  });
}

}  // namespace tideline
