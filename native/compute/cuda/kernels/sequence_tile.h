// Tiles of whole sequences, as both attention kernels go through them.
#pragma once

#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

// Rows from `first` on that are in the tile's sequence, at most `most`.
__device__ inline uint32_t RowsIn(const SequenceTile& tile, uint32_t first, uint32_t most) {
  return tile.end - first < most ? tile.end - first : most;
}

}  // namespace tideline::cuda
