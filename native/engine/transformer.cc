#include "engine/transformer.h"

#include <algorithm>
#include <cmath>

#include "compute/host/kernels.h"  // BestKernels

namespace tideline {
namespace {

constexpr uint64_t kAbsent = LayerOffsets::kAbsent;
// Below this many multiply-adds, waking the other threads costs more than they help.
constexpr uint64_t kSerialWork = 1 << 18;
// Columns of one task: few enough to share the work evenly, many enough to be worth handing out.
constexpr uint64_t kColumnGrain = 8;
constexpr uint64_t kTasksPerThread = 4;
// What else takes about as long as how many multiply-adds.
constexpr uint64_t kSinCosWork = 400;
constexpr uint64_t kSiluWork = 8;

}  // namespace

Transformer::Transformer(const ModelConfig& config, const WeightsLayout& layout, KvCache& cache, Workspace& workspace,
                         ThreadPool& pool)
    : config_(config),
      layout_(layout),
      cache_(cache),
      workspace_(workspace),
      pool_(pool),
      inverse_frequencies_(InverseFrequencies(config)) {}

template <typename Task>
void Transformer::Share(uint64_t count, uint64_t work_each, const Task& task) {
  if (count * work_each >= kSerialWork) return pool_.ParallelFor(count, task);
  for (uint64_t index = 0; index < count; ++index) task(index, 0);
}

void Transformer::Run(const std::byte* weights, std::span<const StepToken> tokens) {
  buffers_ = workspace_.Buffers();
  PrepareTokens(weights, tokens);
  for (uint64_t layer = 0; layer < config_.layers; ++layer) {
    Attend(weights, layer, tokens);
    Feed(weights, layer, tokens.size());
  }
}

void Transformer::PrepareTokens(const std::byte* weights, std::span<const StepToken> tokens) {
  const Kernels& kernels = BestKernels();
  const uint64_t row_bytes = config_.hidden_size * DTypeBytes(layout_.dtype());
  const uint64_t half = config_.head_dim / 2;
  Share(tokens.size(), config_.hidden_size + kSinCosWork * half, [&](uint64_t row, unsigned) {
    const StepToken& token = tokens[row];
    kernels.convert(buffers_.hidden + row * config_.hidden_size, DType::kF32,
                    weights + layout_.embedding() + token.id * row_bytes, layout_.dtype(), config_.hidden_size);
    for (uint64_t pair = 0; pair < half; ++pair) {
      const double angle = token.position * inverse_frequencies_[pair];
      buffers_.cosine[row * half + pair] = static_cast<float>(std::cos(angle));
      buffers_.sine[row * half + pair] = static_cast<float>(std::sin(angle));
    }
  });
}

void Transformer::Attend(const std::byte* weights, uint64_t layer, std::span<const StepToken> tokens) {
  const Kernels& kernels = BestKernels();
  const LayerOffsets& at = layout_.layers()[layer];
  const uint64_t rows = tokens.size(), hidden = config_.hidden_size, head_dim = config_.head_dim, half = head_dim / 2;
  const uint64_t q_size = config_.q_size(), kv_size = config_.kv_size(), qkv_size = q_size + 2 * kv_size;
  const float eps = static_cast<float>(config_.rms_norm_eps);
  const DType dtype = layout_.dtype();

  Normalise(weights + at.input_norm, buffers_.hidden, buffers_.normed, rows);
  Project(weights, {at.qkv, at.qkv_bias, qkv_size, hidden}, buffers_.normed, buffers_.qkv, rows, false);

  std::byte* cache = static_cast<std::byte*>(cache_.region().MutableData()) + cache_.LayerOffset(layer);
  Share(rows, 4 * qkv_size, [&](uint64_t row, unsigned) {
    float* qkv = buffers_.qkv + row * qkv_size;
    for (uint64_t head = 0; head < config_.heads + config_.kv_heads; ++head) {
      float* vector = qkv + head * head_dim;  // the key heads follow the query heads
      if (config_.qk_norm) {
        const uint64_t norm = head < config_.heads ? at.q_norm : at.k_norm;
        kernels.rms_norm(vector, vector, weights + norm, dtype, head_dim, eps);
      }
      kernels.rope(vector, buffers_.cosine + row * half, buffers_.sine + row * half, half);
    }
    const uint32_t position = tokens[row].position;
    const uint64_t block_tokens = cache_.block_tokens();
    cache_.Write(cache, tokens[row].blocks[position / block_tokens], position % block_tokens, qkv + q_size,
                 qkv + q_size + kv_size);
  });

  const uint64_t group = config_.heads / config_.kv_heads;
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  uint64_t context_tokens = 0;
  for (const StepToken& token : tokens) context_tokens += token.position + 1;
  Share(rows * config_.heads, 2 * head_dim * (context_tokens / rows), [&](uint64_t task, unsigned worker) {
    const uint64_t row = task / config_.heads, head = task % config_.heads;
    kernels.attention({.query = buffers_.qkv + row * qkv_size + head * head_dim,
                       .layer = cache,
                       .blocks = tokens[row].blocks,
                       .block_stride_bytes = cache_.block_stride_bytes(),
                       .key_offset_bytes = cache_.KeyOffset(head / group),
                       .value_offset_bytes = cache_.ValueOffset(head / group),
                       .context_tokens = uint64_t{tokens[row].position} + 1,
                       .block_tokens = cache_.block_tokens(),
                       .head_dim = head_dim,
                       .dtype = cache_.dtype(),
                       .scale = scale,
                       .scores = buffers_.scores + worker * buffers_.context_stride,
                       .output = buffers_.attention + row * q_size + head * head_dim});
  });
  Project(weights, {at.o_proj, at.o_bias, hidden, q_size}, buffers_.attention, buffers_.hidden, rows, true);
}

void Transformer::Feed(const std::byte* weights, uint64_t layer, uint64_t rows) {
  const Kernels& kernels = BestKernels();
  const LayerOffsets& at = layout_.layers()[layer];
  const uint64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  Normalise(weights + at.post_norm, buffers_.hidden, buffers_.normed, rows);
  Project(weights, {at.gate_up, at.gate_up_bias, 2 * intermediate, hidden}, buffers_.normed, buffers_.gate_up, rows, false);
  Share(rows, kSiluWork * intermediate, [&](uint64_t row, unsigned) {
    const float* gate = buffers_.gate_up + row * 2 * intermediate;
    kernels.silu_multiply(buffers_.activated + row * intermediate, gate, gate + intermediate, intermediate);
  });
  Project(weights, {at.down, at.down_bias, hidden, intermediate}, buffers_.activated, buffers_.hidden, rows, true);
}

std::span<const float> Transformer::Logits(const std::byte* weights, std::span<const uint32_t> rows) {
  const uint64_t hidden = config_.hidden_size;
  for (size_t index = 0; index < rows.size(); ++index) {
    Normalise(weights + layout_.final_norm(), buffers_.hidden + rows[index] * hidden,
              buffers_.logits_input + index * hidden, 1);
  }
  Project(weights, {layout_.lm_head(), kAbsent, config_.vocab_size, hidden}, buffers_.logits_input, buffers_.logits,
          rows.size(), false);
  return {buffers_.logits, rows.size() * config_.vocab_size};
}

void Transformer::Normalise(const void* weight, const float* input, float* output, uint64_t rows) {
  const uint64_t hidden = config_.hidden_size;
  Share(rows, 2 * hidden, [&](uint64_t row, unsigned) {
    BestKernels().rms_norm(output + row * hidden, input + row * hidden, weight, layout_.dtype(), hidden,
                           static_cast<float>(config_.rms_norm_eps));
  });
}

void Transformer::Project(const std::byte* weights, const Projection& projection, const float* x, float* y,
                          uint64_t rows, bool accumulate) {
  const Kernels& kernels = BestKernels();
  const uint64_t columns = projection.columns;
  MatMulArgs args{.x = x,
                  .weights = weights + projection.weights,
                  .dtype = layout_.dtype(),
                  .bias = projection.bias == kAbsent ? nullptr : weights + projection.bias,
                  .y = y,
                  .y_stride = columns,
                  .rows = rows,
                  .k = projection.k,
                  .accumulate = accumulate,
                  .scratch = buffers_.matmul};
  const uint64_t tasks_wanted = pool_.threads() * kTasksPerThread;
  const uint64_t grain = (columns / tasks_wanted + kColumnGrain) / kColumnGrain * kColumnGrain;
  Share((columns + grain - 1) / grain, rows * grain * projection.k, [&](uint64_t task, unsigned worker) {
    MatMulArgs mine = args;
    mine.scratch = buffers_.matmul + worker * kMatMulScratchFloats;
    kernels.matmul(mine, task * grain, std::min(columns, (task + 1) * grain));
  });
}

}  // namespace tideline
