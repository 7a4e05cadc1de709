#include "training/heads.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/host/kernels.h"             // BestKernels
#include "compute/host/training_kernels.h"  // BestTrainingKernels

namespace tideline {
namespace {

// The softmax of one row of logits.
struct RowStatistics {
  float log_sum, logprob, entropy;
};

RowStatistics Measure(const float* logits, uint64_t vocabulary, uint32_t target) {
  const float most = BestTrainingKernels().max(logits, vocabulary);
  double total = 0, weighted = 0;
  BestTrainingKernels().exp_moments(logits, vocabulary, most, &total, &weighted);
  const double log_total = std::log(total);
  return {.log_sum = static_cast<float>(most + log_total),
          .logprob = static_cast<float>(static_cast<double>(logits[target]) - most - log_total),
          .entropy = static_cast<float>(log_total - weighted / total)};
}

}  // namespace

Heads::Heads(const ModelConfig& config, const WeightsLayout& layout, const WeightsLayout& gradient_layout,
             uint64_t logit_rows)
    : config_(config), layout_(layout), gradient_layout_(gradient_layout), logit_rows_(logit_rows) {}

void Heads::Choose(RowRange rows, HeadRows& chosen) const {
  const uint64_t begin = chosen.rows.size();
  AppendPieces({begin, begin + rows.size()}, std::min(kPieceRows, logit_rows_), chosen.pieces);
  for (uint64_t row = rows.begin; row < rows.end; ++row) chosen.rows.push_back(static_cast<uint32_t>(row));
}

NormWeights Heads::FinalNorm(const Step& step) const {
  return {step.weights + layout_.final_norm(), layout_.vector_dtype(), config_.hidden_size,
          static_cast<float>(config_.rms_norm_eps)};
}

// As many whole pieces at a time as fit; calls work(chunk) once their rows are gathered and normed.
template <typename Work>
void Heads::ForChunks(const Step& step, const HeadRows& chosen, const Work& work) const {
  const uint64_t hidden = config_.hidden_size;
  std::vector<RowRange> local;
  for (size_t first = 0; first < chosen.pieces.size();) {
    const uint64_t begin = chosen.pieces[first].begin;
    local.clear();
    for (; first < chosen.pieces.size() && chosen.pieces[first].end - begin <= logit_rows_; ++first) {
      local.push_back({chosen.pieces[first].begin - begin, chosen.pieces[first].end - begin});
    }
    const Chunk chunk{{begin, begin + local.back().end}, local};
    for (uint64_t row = 0; row < chunk.range.size(); ++row) {
      std::memcpy(step.buffers.input + row * hidden, step.activations.hidden + chosen.rows[begin + row] * hidden,
                  hidden * sizeof(float));
    }
    NormForward(step.compute, FinalNorm(step), step.buffers.input, step.buffers.normed, chunk.range.size());
    work(chunk);
  }
}

void Heads::BackwardNorm(const Step& step, const HeadRows& chosen, const Chunk& chunk) const {
  NormBackward(step.compute, FinalNorm(step),
               {.input = step.buffers.input,
                .d_output = step.buffers.d_normed,
                .d_input = step.activations.d_hidden,
                .target_rows = chosen.rows.data() + chunk.range.begin,
                .inverse_rms = step.buffers.inverse_rms,
                .d_weight = reinterpret_cast<float*>(step.gradients + gradient_layout_.final_norm()),
                .rows = chunk.range.size(),
                .pieces = chunk.pieces});
}

void Heads::Tokens(const Step& step, const HeadRows& chosen, std::span<const uint32_t> targets,
                   std::span<float> logprobs, std::span<float> entropies, const TokenLoss& loss) const {
  const uint64_t vocabulary = config_.vocab_size;
  const LinearWeights head{step.weights + layout_.lm_head(),
                           layout_.RowScales(step.weights, layout_.lm_head(), vocabulary, config_.hidden_size),
                           nullptr,
                           layout_.dtype(),
                           vocabulary,
                           config_.hidden_size};
  std::vector<float> log_sums(logit_rows_);
  std::vector<TokenSlopes> slopes(logit_rows_);
  ForChunks(step, chosen, [&](const Chunk& chunk) {
    const uint64_t rows = chunk.range.size(), begin = chunk.range.begin;
    float* logits = step.buffers.logits;
    LinearForward(step.compute, head, step.buffers.normed, logits, rows, false);
    step.compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
      const RowStatistics seen = Measure(logits + row * vocabulary, vocabulary, targets[begin + row]);
      log_sums[row] = seen.log_sum;
      logprobs[begin + row] = seen.logprob;
      entropies[begin + row] = seen.entropy;
    });
    if (step.gradients == nullptr) return;

    for (uint64_t row = 0; row < rows; ++row) {
      slopes[row] = loss(begin + row, logprobs[begin + row], entropies[begin + row]);
    }
    step.compute.pool.ParallelFor(rows, [&](uint64_t row, unsigned) {
      float* at = logits + row * vocabulary;
      BestTrainingKernels().token_backward(at, vocabulary, log_sums[row], slopes[row].for_logprob,
                                           slopes[row].for_entropy, entropies[begin + row]);
      at[targets[begin + row]] += slopes[row].for_logprob;
    });
    LinearWeightGradient(step.compute, head, logits, step.buffers.normed, chunk.pieces,
                         reinterpret_cast<float*>(step.gradients + gradient_layout_.lm_head()));
    LinearInputGradient(step.compute, head, logits, step.buffers.d_normed, rows);
    BackwardNorm(step, chosen, chunk);
  });
}

void Heads::Values(const Step& step, const HeadRows& chosen, std::span<float> values, const ValueLoss& loss) const {
  const uint64_t hidden = config_.hidden_size;
  float* weight = step.buffers.logits;
  BestKernels().convert(weight, DType::kF32, step.weights + layout_.value_head(), layout_.vector_dtype(), hidden);
  ForChunks(step, chosen, [&](const Chunk& chunk) {
    const uint64_t begin = chunk.range.begin;
    for (uint64_t row = 0; row < chunk.range.size(); ++row) {
      values[begin + row] = BestTrainingKernels().dot(step.buffers.normed + row * hidden, weight, hidden);
    }
    if (step.gradients == nullptr) return;

    float* d_weight = reinterpret_cast<float*>(step.gradients + gradient_layout_.value_head());
    for (uint64_t row = 0; row < chunk.range.size(); ++row) {
      const float slope = loss(begin + row, values[begin + row]);
      for (uint64_t i = 0; i < hidden; ++i) {
        d_weight[i] += slope * step.buffers.normed[row * hidden + i];
        step.buffers.d_normed[row * hidden + i] = slope * weight[i];
      }
    }
    BackwardNorm(step, chosen, chunk);
  });
}

}  // namespace tideline
