#include "training/trained_transformer.h"

namespace tideline {
struct TrainedTransformer::Step {
  ModelWeights model;
  const MicroBatch& batch;
  const ActivationBuffers& buffers;
  Compute& compute;

  RotaryArgs Rotary(const ModelConfig& config, const LayerWeights& layer) const {
    return {HeadShapeOf(config), layer.q_norm, layer.k_norm, buffers.cosine, buffers.sine};
  }
};

TrainedTransformer::TrainedTransformer(const ModelConfig& config, const WeightsLayout& layout, bool checkpointing)
    : config_(config),
      layout_(layout),
      checkpointing_(checkpointing),
      inverse_frequencies_(InverseFrequencies(config)) {}

// ---------------------------------------------------------------------------------------------------------------------
// Forward

void TrainedTransformer::Forward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers,
                                 Compute& compute, bool keep, const AfterLayer& after_layer) const {
  const Step step{{config_, layout_, weights}, batch, buffers, compute};
  compute.Begin(batch);
  compute.Embed(step.model.Embedding(), buffers.hidden);
  compute.Angles(inverse_frequencies_, buffers.cosine, buffers.sine);
  const uint64_t hidden_bytes = batch.rows() * config_.hidden_size * sizeof(float);
  for (uint64_t layer = 0; layer < config_.layers; ++layer) {
    if (keep) compute.Copy(buffers.layers[layer].input, buffers.hidden, hidden_bytes);
    Attend(step, layer);
    FeedUp(step, layer);
    FeedDown(step, layer);
    after_layer();
  }
}

void TrainedTransformer::Attend(const Step& step, uint64_t layer) const {
  const auto& [model, batch, buffers, compute] = step;
  const LayerWeights weights = model.Layer(layer);
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows();

  compute.NormForward(weights.input_norm, buffers.hidden, buffers.normed, rows);
  compute.LinearForward(weights.qkv, buffers.normed, kept.qkv, rows, false);
  compute.Rotate(step.Rotary(config_, weights), kept.qkv, kept.raw_qk);
  compute.AttentionForward(AttentionOf(kept));
  compute.LinearForward(weights.o_proj, kept.attention, buffers.hidden, rows, true);
}

void TrainedTransformer::FeedUp(const Step& step, uint64_t layer) const {
  const auto& [model, batch, buffers, compute] = step;
  const LayerWeights weights = model.Layer(layer);
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows();

  compute.Copy(kept.middle, buffers.hidden, rows * config_.hidden_size * sizeof(float));
  compute.NormForward(weights.post_norm, buffers.hidden, buffers.normed, rows);
  compute.LinearForward(weights.gate_up, buffers.normed, kept.gate_up, rows, false);
}

void TrainedTransformer::FeedDown(const Step& step, uint64_t layer) const {
  const auto& [model, batch, buffers, compute] = step;
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows();

  compute.SiluMultiply(kept.gate_up, buffers.activated, rows, config_.intermediate_size);
  compute.LinearForward(model.Layer(layer).down, buffers.activated, buffers.hidden, rows, true);
}

// ---------------------------------------------------------------------------------------------------------------------
// Backward: the same steps in reverse. buffers.d_hidden is the gradient of the residual stream all the way down; the
// gradients of what is not needed again take its place.

void TrainedTransformer::Backward(const std::byte* weights, const MicroBatch& batch, const ActivationBuffers& buffers,
                                  Compute& compute, const ModelGradients& gradients,
                                  const AfterLayer& after_layer) const {
  const Step step{{config_, layout_, weights}, batch, buffers, compute};
  for (uint64_t layer = config_.layers; layer-- > 0;) {
    if (checkpointing_) {  // all that the layer keeps; its output is not asked for
      compute.Copy(buffers.hidden, buffers.layers[layer].input, batch.rows() * config_.hidden_size * sizeof(float));
      Attend(step, layer);
      FeedUp(step, layer);
    }
    const LayerGradients into = gradients.Layer(layer);
    BackwardFeed(step, layer, into);
    BackwardAttend(step, layer, into);
    after_layer();
  }
  compute.EmbedBackward(buffers.d_hidden, config_.hidden_size, gradients.Embedding());
}

void TrainedTransformer::BackwardFeed(const Step& step, uint64_t layer, const LayerGradients& into) const {
  const auto& [model, batch, buffers, compute] = step;
  const LayerWeights weights = model.Layer(layer);
  const LayerActivations& kept = buffers.layers[layer];
  const uint64_t rows = batch.rows(), intermediate = config_.intermediate_size;

  compute.SiluMultiply(kept.gate_up, buffers.activated, rows, intermediate);
  BackwardLinear(step, weights.down, buffers.d_hidden, buffers.activated, buffers.activated, into.down);
  compute.SiluMultiplyBackward(kept.gate_up, buffers.activated, kept.gate_up, rows, intermediate);
  compute.NormForward(weights.post_norm, kept.middle, buffers.normed, rows);
  BackwardLinear(step, weights.gate_up, kept.gate_up, buffers.normed, buffers.normed, into.gate_up);
  BackwardNorm(step, weights.post_norm, kept.middle, into.post_norm);
}

void TrainedTransformer::BackwardAttend(const Step& step, uint64_t layer, const LayerGradients& into) const {
  const auto& [model, batch, buffers, compute] = step;
  const LayerWeights weights = model.Layer(layer);
  const LayerActivations& kept = buffers.layers[layer];

  BackwardLinear(step, weights.o_proj, buffers.d_hidden, kept.attention, buffers.d_attention, into.o_proj);
  compute.AttentionBackward(AttentionOf(kept), buffers.d_attention, buffers.d_qkv);
  compute.RotateBackward(step.Rotary(config_, weights), kept.raw_qk, buffers.d_qkv, into.q_norm, into.k_norm);
  compute.NormForward(weights.input_norm, kept.input, buffers.normed, batch.rows());
  BackwardLinear(step, weights.qkv, buffers.d_qkv, buffers.normed, buffers.normed, into.qkv);
  BackwardNorm(step, weights.input_norm, kept.input, into.input_norm);
}

void TrainedTransformer::BackwardLinear(const Step& step, const LinearWeights& linear, const float* d_y, const float* x,
                                        float* d_x, const LinearGradient& into) const {
  const auto& pieces = step.batch.pieces;
  step.compute.LinearGradients(linear, d_y, x, d_x, step.batch.rows(), pieces, into.weights);
  if (linear.bias) step.compute.BiasGradient(d_y, linear.outputs, pieces, into.bias);
}

// From the gradient in buffers.normed into that of the residual stream.
void TrainedTransformer::BackwardNorm(const Step& step, const NormWeights& norm, const float* input,
                                      const Gradient& into) const {
  step.compute.NormBackward(norm, {.input = input,
                                   .d_output = step.buffers.normed,
                                   .d_input = step.buffers.d_hidden,
                                   .target_rows = {},
                                   .inverse_rms = step.buffers.inverse_rms,
                                   .d_weight = into,
                                   .rows = step.batch.rows(),
                                   .pieces = step.batch.pieces});
}

}  // namespace tideline
