// What passes are made over: a step of the engine (tokens of any sequences), or a micro-batch of training (whole sequences
// back to back, without padding, and the pieces that gradients of weights are summed in).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tideline {

// One token of a step. Tokens of a sequence appear in order and every earlier one is in the KV cache or in the step.
struct StepToken {
  uint32_t id;
  uint32_t position;
  const uint32_t* blocks;  // of its sequence, valid for the step
};

// Rows [begin, end) of a buffer with one row per token.
struct RowRange {
  uint64_t begin, end;
  uint64_t size() const { return end - begin; }
};

// Gradients of weights are summed piece by piece, and a piece never reaches into another sequence: so the sum has the
// same bits however the sequences are split into micro-batches.
inline constexpr uint64_t kPieceRows = 128;

inline void AppendPieces(RowRange rows, uint64_t most_rows, std::vector<RowRange>& pieces) {
  for (uint64_t begin = rows.begin; begin < rows.end; begin += most_rows) {
    pieces.push_back({begin, begin + most_rows < rows.end ? begin + most_rows : rows.end});
  }
}

// Index vectors only, a few bytes per token: everything with a width lies in regions.
struct MicroBatch {
  std::vector<uint32_t> ids;        // (rows)
  std::vector<uint32_t> positions;  // (rows)
  std::vector<RowRange> sequences;
  std::vector<RowRange> pieces;

  uint64_t rows() const { return ids.size(); }

  void Add(std::span<const uint32_t> sequence) {
    const RowRange range{rows(), rows() + sequence.size()};
    sequences.push_back(range);
    AppendPieces(range, kPieceRows, pieces);
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    for (uint32_t position = 0; position < sequence.size(); ++position) positions.push_back(position);
  }
};

}  // namespace tideline
