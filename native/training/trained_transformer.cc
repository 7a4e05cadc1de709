#include "training/trained_transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/host/kernels.h"             // BestKernels
#include "training/attention.h"         // AttentionForward, AttentionBackward
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

constexpr uint64_t kAbsent = LayerOffsets::kAbsent;
// Columns of the embedding's gradient that one task adds up.
constexpr uint64_t kEmbeddingColumns = 64;

const std::byte* At(const std::byte* base, uint64_t offset) { return offset == kAbsent ? nullptr : base + offset; }
float* FloatsAt(std::byte* base, uint64_t offset) { return reinterpret_cast<float*>(base + offset); }

}  // namespace

struct TrainedTransformer::Step {
  const std::byte* weights;
  const MicroBatch& batch;
  const ActivationBuffers& buffers;
  const Compute& compute;
};

TrainedTransformer::TrainedTransformer(const ModelConfig& config, const WeightsLayout& layout,
                                       const WeightsLayout& gradient_layout, bool checkpointing)
    : config_(config),
      layout_(layout),
      gradient_layout_(gradient_layout),
      checkpointing_(checkpointing),
      inverse_frequencies_(InverseFrequencies(config)) {}

LinearWeights TrainedTransformer::Linear(const std::byte* weights, uint64_t at, uint64_t bias_at, uint64_t outputs,
                                         uint64_t inputs) const {
  const float* scales = layout_.RowScales(weights, at, outputs, inputs);
  return {weights + at, scales, At(weights, bias_at), layout_.dtype(), outputs, inputs};
}

NormWeights TrainedTransformer::Norm(const std::byte* weights, uint64_t at, uint64_t size) const {
  return {weights + at, layout_.vector_dtype(), size, static_cast<float>(config_.rms_norm_eps)};
}

// ---------------------------------------------------------------------------------------------------------------------
// Forward

void TrainedTransformer::Forward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers,
                                 const Compute& compute, bool keep, const AfterLayer& after_layer) const {
  const Step step{weights, batch, buffers, compute};
  PrepareRows(step);
  const uint64_t hidden_bytes = batch.rows() * config_.hidden_size * sizeof(float);
  for (uint64_t layer = 0; layer < config_.layers; ++layer) {
    if (keep) std::memcpy(buffers.layers[layer].input, buffers.hidden, hidden_bytes);
    ForwardLayer(step, layer);
    after_layer();
  }
}

void TrainedTransformer::PrepareRows(const Step& step) const {
  const uint64_t hidden = config_.hidden_size, half = config_.head_dim / 2;
  const uint64_t row_bytes = hidden * DTypeBytes(layout_.dtype());
  const float* scales = layout_.RowScales(step.weights, layout_.embedding(), config_.vocab_size, hidden);
  step.compute.pool.ParallelFor(step.batch.rows(), [&](uint64_t row, unsigned) {
    float* embedded = step.buffers.hidden + row * hidden;
    const uint32_t id = step.batch.ids[row];
    BestKernels().convert(embedded, DType::kF32, step.weights + layout_.embedding() + id * row_bytes, layout_.dtype(),
                          hidden);
    if (scales != nullptr) {
      for (uint64_t i = 0; i < hidden; ++i) embedded[i] *= scales[id];
    }
    for (uint64_t pair = 0; pair < half; ++pair) {
      const double angle = step.batch.positions[row] * inverse_frequencies_[pair];
      step.buffers.cosine[row * half + pair] = static_cast<float>(std::cos(angle));
      step.buffers.sine[row * half + pair] = static_cast<float>(std::sin(angle));
    }
  });
}

void TrainedTransformer::ForwardLayer(const Step& step, uint64_t layer) const {
  Attend(step, layer);
  Feed(step, layer);
}

void TrainedTransformer::Attend(const Step& step, uint64_t layer) const {
  const auto& [weights, batch, buffers, compute] = step;
  const LayerOffsets& at = layout_.layers()[layer];
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows(), hidden = config_.hidden_size, head_dim = config_.head_dim, half = head_dim / 2;
  const AttentionShape shape{config_.heads, config_.kv_heads, head_dim};
  const uint64_t qk_size = config_.q_size() + config_.kv_size();

  NormForward(compute, Norm(weights, at.input_norm, hidden), buffers.hidden, buffers.normed, rows);
  LinearForward(compute, Linear(weights, at.qkv, at.qkv_bias, shape.qkv_size(), hidden), buffers.normed, kept.qkv, rows,
                false);
  compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
    float* qkv = kept.qkv + row * shape.qkv_size();
    if (config_.qk_norm) std::memcpy(kept.raw_qk + row * qk_size, qkv, qk_size * sizeof(float));
    for (uint64_t head = 0; head < config_.heads + config_.kv_heads; ++head) {
      float* vector = qkv + head * head_dim;  // the key heads follow the query heads
      if (config_.qk_norm) {
        const NormWeights norm = Norm(weights, head < config_.heads ? at.q_norm : at.k_norm, head_dim);
        BestKernels().rms_norm(vector, vector, norm.weight, norm.dtype, norm.size, norm.eps);
      }
      BestKernels().rope(vector, buffers.cosine + row * half, buffers.sine + row * half, half);
    }
  });
  AttentionForward(compute, shape, {kept.qkv, kept.attention, kept.log_sums}, batch.sequences);
  LinearForward(compute, Linear(weights, at.o_proj, at.o_bias, hidden, shape.q_size()), kept.attention, buffers.hidden,
                rows, true);
}

void TrainedTransformer::Feed(const Step& step, uint64_t layer) const {
  const auto& [weights, batch, buffers, compute] = step;
  const LayerOffsets& at = layout_.layers()[layer];
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows(), hidden = config_.hidden_size, intermediate = config_.intermediate_size;

  std::memcpy(kept.middle, buffers.hidden, rows * hidden * sizeof(float));
  NormForward(compute, Norm(weights, at.post_norm, hidden), buffers.hidden, buffers.normed, rows);
  LinearForward(compute, Linear(weights, at.gate_up, at.gate_up_bias, 2 * intermediate, hidden), buffers.normed,
                kept.gate_up, rows, false);
  compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
    const float* gate = kept.gate_up + row * 2 * intermediate;
    BestKernels().silu_multiply(buffers.activated + row * intermediate, gate, gate + intermediate, intermediate);
  });
  LinearForward(compute, Linear(weights, at.down, at.down_bias, hidden, intermediate), buffers.activated, buffers.hidden,
                rows, true);
}

// ---------------------------------------------------------------------------------------------------------------------
// Backward: the same steps in reverse. buffers.d_hidden is the gradient of the residual stream all the way down.

void TrainedTransformer::Backward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers,
                                  const Compute& compute, std::byte* gradients, const AfterLayer& after_layer) const {
  const Step step{weights, batch, buffers, compute};
  for (uint64_t layer = config_.layers; layer-- > 0;) {
    if (checkpointing_) {
      std::memcpy(buffers.hidden, buffers.layers[layer].input, batch.rows() * config_.hidden_size * sizeof(float));
      ForwardLayer(step, layer);
    }
    BackwardFeed(step, layer, gradients);
    BackwardAttend(step, layer, gradients);
    after_layer();
  }
  BackwardEmbedding(step, gradients);
}

void TrainedTransformer::BackwardFeed(const Step& step, uint64_t layer, std::byte* gradients) const {
  const auto& [weights, batch, buffers, compute] = step;
  const LayerOffsets& at = layout_.layers()[layer];
  const LayerOffsets& into = gradient_layout_.layers()[layer];
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows(), hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const LinearWeights down = Linear(weights, at.down, at.down_bias, hidden, intermediate);
  const LinearWeights gate_up = Linear(weights, at.gate_up, at.gate_up_bias, 2 * intermediate, hidden);
  const NormWeights norm = Norm(weights, at.post_norm, hidden);

  compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
    const float* gate = kept.gate_up + row * 2 * intermediate;
    BestKernels().silu_multiply(buffers.activated + row * intermediate, gate, gate + intermediate, intermediate);
  });
  LinearWeightGradient(compute, down, buffers.d_hidden, buffers.activated, batch.pieces, FloatsAt(gradients, into.down));
  if (down.bias) BiasGradient(compute, buffers.d_hidden, hidden, batch.pieces, FloatsAt(gradients, into.down_bias));
  LinearInputGradient(compute, down, buffers.d_hidden, buffers.d_activated, rows);
  compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
    const float* gate = kept.gate_up + row * 2 * intermediate;
    float* d_gate = buffers.d_gate_up + row * 2 * intermediate;
    BestTrainingKernels().silu_multiply_backward(d_gate, d_gate + intermediate, gate, gate + intermediate,
                                                 buffers.d_activated + row * intermediate, intermediate);
  });
  NormForward(compute, norm, kept.middle, buffers.normed, rows);
  LinearWeightGradient(compute, gate_up, buffers.d_gate_up, buffers.normed, batch.pieces,
                       FloatsAt(gradients, into.gate_up));
  if (gate_up.bias) {
    BiasGradient(compute, buffers.d_gate_up, 2 * intermediate, batch.pieces, FloatsAt(gradients, into.gate_up_bias));
  }
  LinearInputGradient(compute, gate_up, buffers.d_gate_up, buffers.d_normed, rows);
  NormBackward(compute, norm,
               {.input = kept.middle,
                .d_output = buffers.d_normed,
                .d_input = buffers.d_hidden,
                .target_rows = nullptr,
                .inverse_rms = buffers.inverse_rms,
                .d_weight = FloatsAt(gradients, into.post_norm),
                .rows = rows,
                .pieces = batch.pieces});
}

void TrainedTransformer::BackwardAttend(const Step& step, uint64_t layer, std::byte* gradients) const {
  const auto& [weights, batch, buffers, compute] = step;
  const LayerOffsets& at = layout_.layers()[layer];
  const LayerOffsets& into = gradient_layout_.layers()[layer];
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows(), hidden = config_.hidden_size;
  const AttentionShape shape{config_.heads, config_.kv_heads, config_.head_dim};
  const LinearWeights o_proj = Linear(weights, at.o_proj, at.o_bias, hidden, shape.q_size());
  const LinearWeights qkv = Linear(weights, at.qkv, at.qkv_bias, shape.qkv_size(), hidden);
  const NormWeights norm = Norm(weights, at.input_norm, hidden);

  LinearWeightGradient(compute, o_proj, buffers.d_hidden, kept.attention, batch.pieces, FloatsAt(gradients, into.o_proj));
  if (o_proj.bias) BiasGradient(compute, buffers.d_hidden, hidden, batch.pieces, FloatsAt(gradients, into.o_bias));
  LinearInputGradient(compute, o_proj, buffers.d_hidden, buffers.d_attention, rows);
  AttentionBackward(compute, shape, {kept.qkv, kept.attention, kept.log_sums}, buffers.d_attention, buffers.d_qkv,
                    batch.sequences);
  BackwardRotation(step, layer, gradients);
  NormForward(compute, norm, kept.input, buffers.normed, rows);
  LinearWeightGradient(compute, qkv, buffers.d_qkv, buffers.normed, batch.pieces, FloatsAt(gradients, into.qkv));
  if (qkv.bias) BiasGradient(compute, buffers.d_qkv, shape.qkv_size(), batch.pieces, FloatsAt(gradients, into.qkv_bias));
  LinearInputGradient(compute, qkv, buffers.d_qkv, buffers.d_normed, rows);
  NormBackward(compute, norm,
               {.input = kept.input,
                .d_output = buffers.d_normed,
                .d_input = buffers.d_hidden,
                .target_rows = nullptr,
                .inverse_rms = buffers.inverse_rms,
                .d_weight = FloatsAt(gradients, into.input_norm),
                .rows = rows,
                .pieces = batch.pieces});
}

// d_qkv from rotated queries and keys back to what the projection gave, in place.
void TrainedTransformer::BackwardRotation(const Step& step, uint64_t layer, std::byte* gradients) const {
  const auto& [weights, batch, buffers, compute] = step;
  const LayerOffsets& at = layout_.layers()[layer];
  const LayerOffsets& into = gradient_layout_.layers()[layer];
  const uint64_t head_dim = config_.head_dim, half = head_dim / 2, qk_size = config_.q_size() + config_.kv_size();
  const uint64_t stride = qk_size + config_.kv_size(), heads = config_.heads + config_.kv_heads;
  const float* raw = buffers.layers[layer].raw_qk;

  compute.pool.ParallelFor(batch.rows(), [&](uint64_t row, unsigned) {
    const float *cosine = buffers.cosine + row * half, *sine = buffers.sine + row * half;
    for (uint64_t head = 0; head < heads; ++head) {
      float* d = buffers.d_qkv + row * stride + head * head_dim;
      for (uint64_t i = 0; i < half; ++i) {  // a rotation's transpose is the rotation backwards
        const float first = d[i], second = d[half + i];
        d[i] = first * cosine[i] + second * sine[i];
        d[half + i] = second * cosine[i] - first * sine[i];
      }
    }
  });
  if (!config_.qk_norm) return;

  // The two norms: one task each, since every head of every row adds to the same weight.
  compute.pool.ParallelFor(2, [&](uint64_t task, unsigned) {
    const bool keys = task == 1;
    const NormWeights norm = Norm(weights, keys ? at.k_norm : at.q_norm, head_dim);
    float* d_weight = FloatsAt(gradients, keys ? into.k_norm : into.q_norm);
    float partial[kMostHeadDim], d_input[kMostHeadDim];
    for (const RowRange& piece : batch.pieces) {
      std::fill_n(partial, head_dim, 0.0f);
      for (uint64_t row = piece.begin; row < piece.end; ++row) {
        for (uint64_t head = keys ? config_.heads : 0; head < (keys ? heads : config_.heads); ++head) {
          float* d_output = buffers.d_qkv + row * stride + head * head_dim;
          const float* input = raw + row * qk_size + head * head_dim;
          std::fill_n(d_input, head_dim, 0.0f);
          const float inverse_rms = BestTrainingKernels().rms_norm_backward(d_input, input, norm.weight, norm.dtype,
                                                                            d_output, head_dim, norm.eps);
          BestTrainingKernels().add_scaled_product(partial, d_output, input, inverse_rms, head_dim);
          std::copy_n(d_input, head_dim, d_output);
        }
      }
      BestTrainingKernels().add(d_weight, partial, head_dim);
    }
  });
}

void TrainedTransformer::BackwardEmbedding(const Step& step, std::byte* gradients) const {
  const uint64_t hidden = config_.hidden_size;
  float* d_embedding = FloatsAt(gradients, gradient_layout_.embedding());
  // Tokens repeat, so tasks share columns, not rows.
  step.compute.pool.ParallelFor((hidden + kEmbeddingColumns - 1) / kEmbeddingColumns, [&](uint64_t task, unsigned) {
    const uint64_t column = task * kEmbeddingColumns, count = std::min(kEmbeddingColumns, hidden - column);
    for (uint64_t row = 0; row < step.batch.rows(); ++row) {
      BestTrainingKernels().add(d_embedding + step.batch.ids[row] * hidden + column,
                                step.buffers.d_hidden + row * hidden + column, count);
    }
  });
}

}  // namespace tideline
