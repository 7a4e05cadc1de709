// Memory and the batch; layers.cc, attention.cc, heads.cc and optimizer.cc have the rest.
#include "compute/host/host_compute.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "compute/host/attention_scratch.h"  // AttentionScratchFloats
#include "compute/host/gradient.h"           // AddInFloat32
#include "compute/host/kernels.h"            // BestKernels, kMatMulScratchFloats
#include "compute/host/sampler.h"            // ChooseToken
#include "compute/host/training_kernels.h"   // BestTrainingKernels, kProductScratchFloats

namespace tideline {
namespace {

// Elements that one task converts.
constexpr uint64_t kConvertElements = 1 << 15;
// Columns of the embedding's gradient that one task adds up.
constexpr uint64_t kEmbeddingColumns = 64;
// Sine and cosine take about as long as so many multiply-adds.
constexpr uint64_t kSinCosWork = 400;

// Generating needs room for the scores of a whole context beside a product's; training for one thing at a time.
uint64_t WorkerScratchFloats(const ComputeLimits& limits) {
  uint64_t floats = 0;
  if (limits.context_tokens > 0) floats = limits.context_tokens + kMatMulScratchFloats;
  if (limits.sequence_tokens > 0) {
    floats = std::max({floats, kMatMulScratchFloats, kProductScratchFloats, AttentionScratchFloats(limits.sequence_tokens)});
  }
  return floats;
}

}  // namespace

uint64_t HostScratchBytes(const ComputeLimits& limits) {
  const uint64_t threads = limits.threads == 0 ? AvailableThreads() : limits.threads;
  return threads * WorkerScratchFloats(limits) * sizeof(float);
}

HostCompute::HostCompute(const ComputeLimits& limits)
    : pool_(limits.threads), scratch_stride_(WorkerScratchFloats(limits)) {}

// ---------------------------------------------------------------------------------------------------------------------
// Memory

void HostCompute::Zero(void* target, uint64_t bytes) { std::memset(target, 0, bytes); }

void HostCompute::Copy(void* target, const void* source, uint64_t bytes) { std::memcpy(target, source, bytes); }

void HostCompute::Download(std::span<std::byte> target, const void* source) {
  std::memcpy(target.data(), source, target.size());
}

void HostCompute::Convert(std::span<const ConvertPiece> pieces, DType target, DType source) {
  std::vector<ConvertPiece> tasks;
  for (const ConvertPiece& piece : pieces) {
    for (uint64_t first = 0; first < piece.elements; first += kConvertElements) {
      tasks.push_back({static_cast<std::byte*>(piece.target) + first * DTypeBytes(target),
                       static_cast<const std::byte*>(piece.source) + first * DTypeBytes(source),
                       std::min(kConvertElements, piece.elements - first)});
    }
  }
  Share(tasks.size(), kConvertElements, [&](uint64_t index, unsigned) {
    BestKernels().convert(tasks[index].target, target, tasks[index].source, source, tasks[index].elements);
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// The batch

void HostCompute::Begin(std::span<const StepToken> tokens) {
  batch_.ids.clear();
  batch_.positions.clear();
  batch_.sequences.clear();
  batch_.pieces.clear();
  blocks_.clear();
  for (const StepToken& token : tokens) {
    batch_.ids.push_back(token.id);
    batch_.positions.push_back(token.position);
    blocks_.push_back(token.blocks);
  }
}

void HostCompute::Embed(const EmbeddingWeights& embedding, float* hidden) {
  const uint64_t size = embedding.hidden, row_bytes = size * DTypeBytes(embedding.dtype);
  Share(batch_.rows(), size, [&](uint64_t row, unsigned) {
    const uint32_t id = batch_.ids[row];
    float* embedded = hidden + row * size;
    BestKernels().convert(embedded, DType::kF32, embedding.weights + id * row_bytes, embedding.dtype, size);
    if (embedding.scales == nullptr) return;
    for (uint64_t i = 0; i < size; ++i) embedded[i] *= embedding.scales[id];
  });
}

void HostCompute::EmbedBackward(const float* d_hidden, uint64_t hidden, const Gradient& d_embedding) {
  // Rows token by token, for each in their order: what a token is given is rounded once.
  std::vector<uint32_t> order(batch_.rows());
  std::iota(order.begin(), order.end(), 0u);
  const auto token = [&](uint32_t row) { return batch_.ids[row]; };
  std::ranges::stable_sort(order, {}, token);
  // Tokens repeat, so tasks share columns, not rows.
  const uint64_t tasks = (hidden + kEmbeddingColumns - 1) / kEmbeddingColumns;
  Share(tasks, batch_.rows() * kEmbeddingColumns, [&](uint64_t task, unsigned) {
    const uint64_t column = task * kEmbeddingColumns, count = std::min(kEmbeddingColumns, hidden - column);
    float copy[kEmbeddingColumns];
    for (size_t next = 0; next < order.size();) {
      const uint32_t id = token(order[next]);
      AddInFloat32(d_embedding, {id * hidden + column, 1, hidden, count}, copy, [&](float* sums, uint64_t) {
        for (; next < order.size() && token(order[next]) == id; ++next) {
          BestTrainingKernels().add(sums, d_hidden + order[next] * hidden + column, count);
        }
      });
    }
  });
}

void HostCompute::Angles(std::span<const double> inverse_frequencies, float* cosine, float* sine) {
  const uint64_t half = inverse_frequencies.size();
  Share(batch_.rows(), kSinCosWork * half, [&](uint64_t row, unsigned) {
    for (uint64_t pair = 0; pair < half; ++pair) {
      const double angle = batch_.positions[row] * inverse_frequencies[pair];
      cosine[row * half + pair] = static_cast<float>(std::cos(angle));
      sine[row * half + pair] = static_cast<float>(std::sin(angle));
    }
  });
}

void HostCompute::ChooseTokens(const float* logits, uint64_t vocabulary, float* scratch) {
  chosen_.clear();
  for (const Draw& draw : draws_) {
    chosen_.push_back(ChooseToken({logits + chosen_.size() * vocabulary, vocabulary}, draw, scratch));
  }
}

}  // namespace tideline
