// How much of a worker's scratch attention within sequences takes.
#pragma once

#include <cstdint>

#include "compute/host/training_kernels.h"  // kProductScratchFloats

namespace tideline {

// Queries whose scores are held at once.
inline constexpr uint64_t kAttentionTileRows = 96;

// Scores and their gradients of a tile, then what products need.
constexpr uint64_t AttentionScratchFloats(uint64_t sequence_tokens) {
  return 2 * kAttentionTileRows * sequence_tokens + kProductScratchFloats;
}

}  // namespace tideline
