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

void Transformer::Begin(std::span<const StepToken> tokens) {
  buffers_ = workspace_.Buffers();
  rows_ = tokens.size();
  compute_.UseScratch(buffers_.scratch);
  compute_.Begin(tokens);
}

void Transformer::Run(const std::byte* weights) {
  const ModelWeights model(config_, layout_, weights);
  compute_.Embed(model.Embedding(), buffers_.hidden);
  compute_.Angles(inverse_frequencies_, buffers_.cosine, buffers_.sine);
  for (uint64_t layer = 0; layer < config_.layers; ++layer) {
    const LayerWeights layer_weights = model.Layer(layer);
    Attend(layer_weights, cache_.Layer(layer));
    Feed(layer_weights);
  }
}

void Transformer::Attend(const LayerWeights& weights, const KvLayer& cache) {
  const HeadShape shape = HeadShapeOf(config_);
  compute_.NormLinearForward(weights.input_norm, weights.qkv, buffers_.hidden, buffers_.normed, buffers_.qkv, rows_);
  compute_.RotateAndStore({shape, weights.q_norm, weights.k_norm, buffers_.cosine, buffers_.sine}, cache, buffers_.qkv);
  compute_.PagedAttention(cache, shape, buffers_.qkv, buffers_.attention);
  compute_.LinearForward(weights.o_proj, buffers_.attention, buffers_.hidden, rows_, true);
}

void Transformer::Feed(const LayerWeights& weights) {
  compute_.NormGatedForward(weights.post_norm, weights.gate_up, buffers_.hidden, buffers_.normed, buffers_.gate_up,
                            buffers_.activated, rows_);
  compute_.LinearForward(weights.down, buffers_.activated, buffers_.hidden, rows_, true);
}

const float* Transformer::Logits(const std::byte* weights, std::span<const uint32_t> rows) {
  compute_.GatherRows(buffers_.hidden, rows, config_.hidden_size, buffers_.logits_input);
  return LogitsOf(weights, buffers_.logits_input, rows.size());
}

const float* Transformer::LogitsOf(const std::byte* weights, const float* hidden, uint64_t rows) {
  const ModelWeights model(config_, layout_, weights);
  compute_.NormLinearForward(model.FinalNorm(), model.LmHead(), hidden, buffers_.logits_input, buffers_.logits, rows);
  return buffers_.logits;
}

void Transformer::RunAndChoose(const std::byte* weights) {
  compute_.Repeat(weights, [&] {
    Run(weights);
    Choose(LogitsOf(weights, buffers_.hidden, rows_));
  });
}

void Transformer::Choose(const float* logits) {
  compute_.ChooseTokens(logits, config_.vocab_size, buffers_.probabilities);
}

}  // namespace tideline
