// Chooses the next token, on the processor.
#pragma once

#include <cstdint>
#include <span>

#include "compute/sampling.h"  // Draw, Choice
#include "memory/error.h"      // Error

namespace tideline {

// `scratch` has room for one float per logit.
Choice ChooseToken(std::span<const float> logits, const Draw& draw, float* scratch);

// log softmax of `logits` at `token`. Error: internal when a logit is NaN (damaged weights).
float LogProb(std::span<const float> logits, uint32_t token);

// What that error is.
Error NotNumbers();

}  // namespace tideline
