#include "engine/transformer.h"

namespace tideline {

Transformer::Transformer(const ModelConfig& config, const WeightsLayout& layout, KvCache& cache, Workspace& workspace,
                         Compute& compute)
    : config_(config),
      layout_(layout),
      cache_(cache),
      workspace_(workspace),
      compute_(compute),
      inverse_frequencies_(InverseFrequencies(config)) {}

void Transformer::Run(const std::byte* weights, std::span<const StepToken> tokens) {
  buffers_ = workspace_.Buffers();
  const ModelWeights model(config_, layout_, weights);
  compute_.UseScratch(buffers_.scratch);
  compute_.Begin(tokens);
  compute_.Embed(model.Embedding(), buffers_.hidden);
  compute_.Angles(inverse_frequencies_, buffers_.cosine, buffers_.sine);
  for (uint64_t layer = 0; layer < config_.layers; ++layer) {
    const LayerWeights layer_weights = model.Layer(layer);
    Attend(layer_weights, cache_.Layer(layer), tokens.size());
    Feed(layer_weights, tokens.size());
  }
}

void Transformer::Attend(const LayerWeights& weights, const KvLayer& cache, uint64_t rows) {
  const HeadShape shape = HeadShapeOf(config_);
  compute_.NormForward(weights.input_norm, buffers_.hidden, buffers_.normed, rows);
  compute_.LinearForward(weights.qkv, buffers_.normed, buffers_.qkv, rows, false);
  compute_.Rotate({shape, weights.q_norm, weights.k_norm, buffers_.cosine, buffers_.sine}, buffers_.qkv, nullptr);
  compute_.StoreKeysValues(cache, shape, buffers_.qkv);
  compute_.PagedAttention(cache, shape, buffers_.qkv, buffers_.attention);
  compute_.LinearForward(weights.o_proj, buffers_.attention, buffers_.hidden, rows, true);
}

void Transformer::Feed(const LayerWeights& weights, uint64_t rows) {
  compute_.NormForward(weights.post_norm, buffers_.hidden, buffers_.normed, rows);
  compute_.LinearForward(weights.gate_up, buffers_.normed, buffers_.gate_up, rows, false);
  compute_.SiluMultiply(buffers_.gate_up, buffers_.activated, rows, config_.intermediate_size);
  compute_.LinearForward(weights.down, buffers_.activated, buffers_.hidden, rows, true);
}

std::span<const float> Transformer::Logits(const std::byte* weights, std::span<const uint32_t> rows) {
  const ModelWeights model(config_, layout_, weights);
  float* input = buffers_.logits_input;
  compute_.GatherRows(buffers_.hidden, rows, config_.hidden_size, input);
  compute_.NormForward(model.FinalNorm(), input, input, rows.size());
  compute_.LinearForward(model.LmHead(), input, buffers_.logits, rows.size(), false);
  return compute_.HostView(buffers_.logits, rows.size() * config_.vocab_size);
}

}  // namespace tideline
