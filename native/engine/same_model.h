// Whether weights can take another model's place: the one question before every copy, share or load between models.
#pragma once

#include <string>

#include "engine/model_config.h"    // ModelConfig
#include "engine/weights_layout.h"  // WeightsLayout

namespace tideline {

// What is asked for the weights of, as errors call it: "the engine", "policy.weights".
struct NamedModel {
  const ModelConfig& config;
  const WeightsLayout& layout;
  std::string name;
};

// Errors: weights_mismatch with `tensor` (another shape, or missing) or with `field` (what tensors do not show: heads,
// rotary embedding, epsilon; and int8 weights, whose lost bits no cast brings back, for a reader of another dtype).
void RefuseOtherModel(const NamedModel& reader, const NamedModel& source);

}  // namespace tideline
