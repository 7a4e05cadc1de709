#include "engine/model_weights.h"

namespace tideline {

EmbeddingWeights ModelWeights::Embedding() const {
  const uint64_t at = layout_.embedding(), hidden = config_.hidden_size;
  return {first_ + at, layout_.RowScales(first_, at, config_.vocab_size, hidden), layout_.dtype(), hidden};
}

LayerWeights ModelWeights::Layer(uint64_t layer) const {
  const LayerOffsets& at = layout_.layers()[layer];
  const uint64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const HeadShape shape = HeadShapeOf(config_);
  return {.input_norm = Norm(at.input_norm, hidden),
          .qkv = Linear(at.qkv, at.qkv_bias, shape.qkv_size(), hidden),
          .q_norm = Norm(at.q_norm, config_.head_dim),
          .k_norm = Norm(at.k_norm, config_.head_dim),
          .o_proj = Linear(at.o_proj, at.o_bias, hidden, shape.q_size()),
          .post_norm = Norm(at.post_norm, hidden),
          .gate_up = Linear(at.gate_up, at.gate_up_bias, 2 * intermediate, hidden),
          .down = Linear(at.down, at.down_bias, hidden, intermediate)};
}

NormWeights ModelWeights::FinalNorm() const { return Norm(layout_.final_norm(), config_.hidden_size); }

LinearWeights ModelWeights::LmHead() const {
  return Linear(layout_.lm_head(), LayerOffsets::kAbsent, config_.vocab_size, config_.hidden_size);
}

LinearWeights ModelWeights::Linear(uint64_t at, uint64_t bias_at, uint64_t outputs, uint64_t inputs) const {
  const std::byte* bias = bias_at == LayerOffsets::kAbsent ? nullptr : first_ + bias_at;
  return {first_ + at, layout_.RowScales(first_, at, outputs, inputs), bias, layout_.dtype(), outputs, inputs};
}

NormWeights ModelWeights::Norm(uint64_t at, uint64_t size) const {
  const std::byte* weight = at == LayerOffsets::kAbsent ? nullptr : first_ + at;
  return {weight, layout_.vector_dtype(), size, static_cast<float>(config_.rms_norm_eps)};
}

}  // namespace tideline
