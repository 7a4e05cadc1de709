#include "training/heads.h"

#include <algorithm>

namespace tideline {

Heads::Heads(const ModelConfig& config, const WeightsLayout& layout, uint64_t logit_rows)
    : config_(config), layout_(layout), logit_rows_(logit_rows) {}

void Heads::Choose(RowRange rows, HeadRows& chosen) const {
  const uint64_t begin = chosen.rows.size();
  AppendPieces({begin, begin + rows.size()}, std::min(kPieceRows, logit_rows_), chosen.pieces);
  for (uint64_t row = rows.begin; row < rows.end; ++row) chosen.rows.push_back(static_cast<uint32_t>(row));
}

// As many whole pieces at a time as fit; calls work(chunk) once their rows are gathered and normed.
template <typename Work>
void Heads::ForChunks(const Step& step, const HeadRows& chosen, const Work& work) const {
  std::vector<RowRange> local;
  for (size_t first = 0; first < chosen.pieces.size();) {
    const uint64_t begin = chosen.pieces[first].begin;
    local.clear();
    for (; first < chosen.pieces.size() && chosen.pieces[first].end - begin <= logit_rows_; ++first) {
      local.push_back({chosen.pieces[first].begin - begin, chosen.pieces[first].end - begin});
    }
    const Chunk chunk{{begin, begin + local.back().end}, local};
    const std::span<const uint32_t> rows = std::span(chosen.rows).subspan(begin, chunk.range.size());
    step.compute.GatherRows(step.activations.hidden, rows, config_.hidden_size, step.buffers.input);
    step.compute.NormForward(Model(step).FinalNorm(), step.buffers.input, step.buffers.normed, rows.size());
    work(chunk);
  }
}

void Heads::BackwardNorm(const Step& step, const HeadRows& chosen, const Chunk& chunk) const {
  step.compute.NormBackward(Model(step).FinalNorm(),
                            {.input = step.buffers.input,
                             .d_output = step.buffers.d_normed,
                             .d_input = step.activations.d_hidden,
                             .target_rows = std::span(chosen.rows).subspan(chunk.range.begin, chunk.range.size()),
                             .inverse_rms = step.buffers.inverse_rms,
                             .d_weight = step.gradients.FinalNorm(),
                             .rows = chunk.range.size(),
                             .pieces = chunk.pieces});
}

void Heads::Tokens(const Step& step, const HeadRows& chosen, std::span<const uint32_t> targets,
                   std::span<float> logprobs, std::span<float> entropies, const TokenLoss& loss) const {
  const uint64_t vocabulary = config_.vocab_size;
  const LinearWeights head = Model(step).LmHead();
  std::vector<float> log_sums(logit_rows_);
  std::vector<TokenSlopes> slopes(logit_rows_);
  ForChunks(step, chosen, [&](const Chunk& chunk) {
    const uint64_t rows = chunk.range.size(), begin = chunk.range.begin;
    const auto chunk_targets = targets.subspan(begin, rows);
    const auto chunk_log_sums = std::span(log_sums).first(rows);
    const auto chunk_entropies = entropies.subspan(begin, rows);
    float* logits = step.buffers.logits;
    step.compute.LinearForward(head, step.buffers.normed, logits, rows, false);
    step.compute.TokenStatistics(logits, vocabulary, chunk_targets, chunk_log_sums, logprobs.subspan(begin, rows),
                                 chunk_entropies);
    if (!step.gradients) return;

    for (uint64_t row = 0; row < rows; ++row) {
      slopes[row] = loss(begin + row, logprobs[begin + row], entropies[begin + row]);
    }
    step.compute.TokenBackward(logits, vocabulary, chunk_targets, chunk_log_sums, chunk_entropies,
                               std::span(slopes).first(rows));
    step.compute.LinearGradients(head, logits, step.buffers.normed, step.buffers.d_normed, rows, chunk.pieces,
                                 step.gradients.LmHead());
    BackwardNorm(step, chosen, chunk);
  });
}

void Heads::Values(const Step& step, const HeadRows& chosen, std::span<float> values, const ValueLoss& loss) const {
  // Widened once for all chunks.
  const ConvertPiece widened{step.buffers.logits, Model(step).ValueHead(), config_.hidden_size};
  step.compute.Convert({&widened, 1}, DType::kF32, layout_.vector_dtype());
  const NormWeights weight{reinterpret_cast<const std::byte*>(step.buffers.logits), DType::kF32, config_.hidden_size, 0};
  std::vector<float> slopes(logit_rows_);
  ForChunks(step, chosen, [&](const Chunk& chunk) {
    const uint64_t rows = chunk.range.size(), begin = chunk.range.begin;
    step.compute.RowProducts(weight, step.buffers.normed, values.subspan(begin, rows));
    if (!step.gradients) return;

    for (uint64_t row = 0; row < rows; ++row) slopes[row] = loss(begin + row, values[begin + row]);
    step.compute.RowProductsBackward(weight, step.buffers.normed, std::span(slopes).first(rows),
                                     step.gradients.ValueHead(), step.buffers.d_normed);
    BackwardNorm(step, chosen, chunk);
  });
}

}  // namespace tideline
