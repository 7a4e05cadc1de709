// HostCompute: attention, against a paged KV cache for generating and within whole sequences for training. There, scores
// exist only for a tile of queries at a time, in a worker's scratch; the forward pass keeps one number per row and head
// (the logarithm of the softmax's sum), from which the backward pass computes the probabilities again.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/host/attention_scratch.h"  // kAttentionTileRows
#include "compute/host/host_compute.h"
#include "compute/host/kernels.h"            // BestKernels
#include "compute/host/training_kernels.h"   // BestTrainingKernels

namespace tideline {
namespace {

// Elements of a key that are laid across at once.
constexpr uint64_t kStoredElements = 256;

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

float ScaleOf(const HeadShape& shape) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
}

// One worker's scratch: scores and their gradients of a tile, then what products need.
struct TileScratch {
  TileScratch(float* base, uint64_t most_keys)
      : scores(base), d_scores(base + kAttentionTileRows * most_keys), product(base + 2 * kAttentionTileRows * most_keys) {}
  float *scores, *d_scores, *product;
};

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// The KV cache

namespace {

struct HeadPlaces {
  uint64_t key_offset_bytes, value_offset_bytes;  // in a block
};

HeadPlaces PlacesOf(const KvLayer& cache, const HeadShape& shape, uint64_t kv_head) {
  const uint64_t head_bytes = shape.head_dim * cache.block_tokens * DTypeBytes(cache.dtype);
  return {kv_head * head_bytes, (shape.kv_heads + kv_head) * head_bytes};
}

}  // namespace

void HostCompute::StoreKeysValues(const KvLayer& cache, const HeadShape& shape, const float* qkv) {
  const uint64_t dim = shape.head_dim, width = DTypeBytes(cache.dtype);
  Share(batch_.rows(), 2 * shape.kv_size(), [&](uint64_t row, unsigned) {
    const float* keys = qkv + row * shape.qkv_size() + shape.q_size();
    const float* values = keys + shape.kv_size();
    const uint32_t block = blocks_[row][batch_.positions[row] / cache.block_tokens];
    const uint64_t slot = batch_.positions[row] % cache.block_tokens;
    std::byte* at = cache.first + block * cache.block_stride_bytes;
    for (uint64_t head = 0; head < shape.kv_heads; ++head) {
      const auto [key_offset, value_offset] = PlacesOf(cache, shape, head);
      BestKernels().convert(at + value_offset + slot * dim * width, cache.dtype, values + head * dim, DType::kF32, dim);
      // Keys lie across: one element in each row of block_tokens.
      std::byte stored[kStoredElements * sizeof(float)];
      for (uint64_t first = 0; first < dim; first += kStoredElements) {
        const uint64_t count = std::min(kStoredElements, dim - first);
        BestKernels().convert(stored, cache.dtype, keys + head * dim + first, DType::kF32, count);
        std::byte* key = at + key_offset + (first * cache.block_tokens + slot) * width;
        for (uint64_t d = 0; d < count; ++d) {
          std::memcpy(key + d * cache.block_tokens * width, stored + d * width, width);
        }
      }
    }
  });
}

void HostCompute::PagedAttention(const KvLayer& cache, const HeadShape& shape, const float* qkv, float* output) {
  const uint64_t rows = batch_.rows(), group = shape.heads / shape.kv_heads;
  uint64_t context_tokens = 0;
  for (const uint32_t position : batch_.positions) context_tokens += position + 1;
  Share(rows * shape.heads, 2 * shape.head_dim * (context_tokens / rows), [&](uint64_t task, unsigned worker) {
    const uint64_t row = task / shape.heads, head = task % shape.heads;
    const auto [key_offset, value_offset] = PlacesOf(cache, shape, head / group);
    BestKernels().attention({.query = qkv + row * shape.qkv_size() + head * shape.head_dim,
                             .layer = cache.first,
                             .blocks = blocks_[row],
                             .block_stride_bytes = cache.block_stride_bytes,
                             .key_offset_bytes = key_offset,
                             .value_offset_bytes = value_offset,
                             .context_tokens = uint64_t{batch_.positions[row]} + 1,
                             .block_tokens = cache.block_tokens,
                             .head_dim = shape.head_dim,
                             .dtype = cache.dtype,
                             .scale = ScaleOf(shape),
                             .scores = ScratchOf(worker),
                             .output = output + row * shape.q_size() + head * shape.head_dim});
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Whole sequences

namespace {

// Multiply-adds of one task: a head of one sequence, of their mean length.
uint64_t WorkOf(const MicroBatch& batch, const HeadShape& shape) {
  return batch.rows() * (batch.rows() / batch.sequences.size()) * shape.head_dim / batch.sequences.size();
}

}  // namespace

void HostCompute::AttentionForward(const SelfAttention& attention) {
  const HeadShape& shape = attention.shape;
  const uint64_t group = shape.heads / shape.kv_heads, dim = shape.head_dim, stride = shape.qkv_size();
  const float scale = ScaleOf(shape);
  Share(batch_.sequences.size() * shape.heads, WorkOf(batch_, shape), [&](uint64_t task, unsigned worker) {
    const RowRange rows = batch_.sequences[task / shape.heads];
    const uint64_t head = task % shape.heads, kv = head / group;
    const TileScratch scratch(ScratchOf(worker), rows.size());
    const float* first = attention.qkv + rows.begin * stride;
    const ConstHeadView keys{first + shape.q_size() + kv * dim, stride};
    const ConstHeadView values{keys.data + shape.kv_heads * dim, stride};
    for (uint64_t tile = 0; tile < rows.size(); tile += kAttentionTileRows) {
      const uint64_t queries = std::min(kAttentionTileRows, rows.size() - tile), visible = tile + queries;
      const HeadView scores{scratch.scores, visible};
      const ConstHeadView query{first + tile * stride + head * dim, stride};
      MultiplyTransposed(query, keys, scores, queries, visible, dim, scratch.product);
      float* output = attention.output + (rows.begin + tile) * shape.q_size() + head * dim;
      float inverse_sums[kAttentionTileRows];
      for (uint64_t q = 0; q < queries; ++q) {
        float* row = scores.data + q * visible;
        const uint64_t count = tile + q + 1;  // causal: what lies after the query weighs nothing
        const float most = BestTrainingKernels().max(row, count);
        const double sum = BestKernels().exp_sum(row, count, most, scale, row);
        std::fill(row + count, row + visible, 0.0f);
        inverse_sums[q] = static_cast<float>(1.0 / sum);
        attention.log_sums[(rows.begin + tile + q) * shape.heads + head] =
            static_cast<float>(static_cast<double>(most) * scale + std::log(sum));
      }
      Multiply(scores.data, visible, values, {output, shape.q_size()}, queries, dim, visible, false, scratch.product);
      for (uint64_t q = 0; q < queries; ++q) {
        for (uint64_t d = 0; d < dim; ++d) output[q * shape.q_size() + d] *= inverse_sums[q];
      }
    }
  });
}

void HostCompute::AttentionBackward(const SelfAttention& attention, const float* d_output, float* d_qkv) {
  const HeadShape& shape = attention.shape;
  const uint64_t group = shape.heads / shape.kv_heads, dim = shape.head_dim, stride = shape.qkv_size();
  const uint64_t q_size = shape.q_size();
  const float scale = ScaleOf(shape);
  // One task owns a key head: the query heads that share it add to its gradients in order.
  Share(batch_.sequences.size() * shape.kv_heads, 3 * group * WorkOf(batch_, shape), [&](uint64_t task, unsigned worker) {
    const RowRange rows = batch_.sequences[task / shape.kv_heads];
    const uint64_t kv = task % shape.kv_heads;
    const TileScratch scratch(ScratchOf(worker), rows.size());
    const float* first = attention.qkv + rows.begin * stride;
    float* d_first = d_qkv + rows.begin * stride;
    const uint64_t key_column = q_size + kv * dim, value_column = key_column + shape.kv_heads * dim;
    const ConstHeadView keys{first + key_column, stride}, values{first + value_column, stride};
    const HeadView d_keys{d_first + key_column, stride}, d_values{d_first + value_column, stride};
    for (uint64_t row = 0; row < rows.size(); ++row) {
      std::memset(d_keys.data + row * stride, 0, dim * sizeof(float));
      std::memset(d_values.data + row * stride, 0, dim * sizeof(float));
    }
    for (uint64_t head = kv * group; head < (kv + 1) * group; ++head) {
      for (uint64_t tile = 0; tile < rows.size(); tile += kAttentionTileRows) {
        const uint64_t queries = std::min(kAttentionTileRows, rows.size() - tile), visible = tile + queries;
        const ConstHeadView query{first + tile * stride + head * dim, stride};
        const ConstHeadView d_out{d_output + (rows.begin + tile) * q_size + head * dim, q_size};
        const float* out = attention.output + (rows.begin + tile) * q_size + head * dim;
        MultiplyTransposed(query, keys, {scratch.scores, visible}, queries, visible, dim, scratch.product);
        MultiplyTransposed(d_out, values, {scratch.d_scores, visible}, queries, visible, dim, scratch.product);
        for (uint64_t q = 0; q < queries; ++q) {
          float* probabilities = scratch.scores + q * visible;
          float* d_scores = scratch.d_scores + q * visible;
          const uint64_t count = tile + q + 1;
          const float log_sum = attention.log_sums[(rows.begin + tile + q) * shape.heads + head];
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
