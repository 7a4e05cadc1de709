// DeviceBatch: what the kernels have to know of a batch (ids, positions, where each sequence lies), made from what Begin is
// given and taken to the device in one copy. It is there until the next one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/compute.h"           // ComputeLimits, StepToken, MicroBatch
#include "compute/cuda/cuda_stream.h"  // CudaStream
#include "compute/cuda/kernel_args.h"  // StepTile, SequenceTile

namespace tideline {

class DeviceBatch {
 public:
  explicit DeviceBatch(const ComputeLimits& limits) : limits_(limits) {}

  static uint64_t MostBytes(const ComputeLimits& limits);

  void Begin(CudaStream& stream, std::byte* area, std::span<const StepToken> tokens);
  void Begin(CudaStream& stream, std::byte* area, const MicroBatch& batch);

  uint32_t rows() const { return rows_; }
  const uint32_t* ids() const { return ids_; }
  const uint32_t* positions() const { return positions_; }

  // Of a step
  struct Steps {
    const cuda::StepTile* tiles;
    const uint32_t *row_tables, *tables;
    uint32_t tile_count, most_tile_rows;
    uint32_t most_context;  // rounded up to a power of two, so that a sequence changes it seldom as it grows
  };
  const Steps& steps() const { return steps_; }

  // Of a micro-batch
  struct Tiles {
    const cuda::SequenceTile* tiles;
    uint32_t count;
  };
  // `rows` is 32 or 64.
  const Tiles& tiles(unsigned rows) const { return rows == 32 ? tiles_of_32_ : tiles_of_64_; }
  struct Tokens {  // its different ids, and the rows of each
    const uint32_t *ids, *first, *order;
    uint32_t count;
  };
  const Tokens& tokens() const { return tokens_; }

 private:
  // Appends to what goes up; gives the address that it will have.
  template <typename T>
  const T* Append(std::span<const T> values);
  void Send(CudaStream& stream);
  void AppendTokens(std::span<const uint32_t> ids);
  Tiles AppendTiles(const MicroBatch& batch, uint32_t tile_rows);

  const ComputeLimits limits_;
  std::byte* area_ = nullptr;
  std::vector<std::byte> staged_;
  uint32_t rows_ = 0;
  const uint32_t *ids_ = nullptr, *positions_ = nullptr;
  Steps steps_{};
  Tiles tiles_of_32_{}, tiles_of_64_{};
  Tokens tokens_{};
};

}  // namespace tideline
