#include "training/training_memory.h"

#include <algorithm>

#include "compute/host/thread_pool.h"  // AvailableThreads
#include "memory/error.h"              // Error

namespace tideline {
namespace {

constexpr uint64_t kMostRows = 1 << 24;
constexpr uint64_t kDefaultSequenceTokens = 512;
// JavaScript has to hold the sizes exactly.
constexpr double kMostBytes = 9007199254740992.0;

void CheckRange(const char* field, uint64_t value, uint64_t most) {
  if (value >= 1 && value <= most) return;
  throw Error("bad_argument", std::string(field) + " is " + std::to_string(value) + ", and has to be between 1 and " +
                                  std::to_string(most))
      .WithField(field);
}

// Lays buffers out one after another; counts without touching anything when there is no base.
class Placer {
 public:
  explicit Placer(std::byte* base) : base_(reinterpret_cast<uintptr_t>(base)) {}
  float* Floats(uint64_t count) {
    float* at = reinterpret_cast<float*>(base_ + offset_);
    offset_ += (count * sizeof(float) + 63) / 64 * 64;
    return at;
  }
  uint64_t offset() const { return offset_; }
  void GoBackTo(uint64_t offset) { offset_ = offset; }

 private:
  uintptr_t base_;
  uint64_t offset_ = 0;
};

}  // namespace

TrainingLimits Resolved(TrainingLimits limits, const ModelConfig& config) {
  if (limits.threads == 0) limits.threads = AvailableThreads();
  if (limits.sequence_tokens == 0) limits.sequence_tokens = std::min(kDefaultSequenceTokens, config.max_positions);
  CheckRange("microBatch", limits.micro_batch, 1 << 16);
  CheckRange("sequenceTokens", limits.sequence_tokens, config.max_positions);
  CheckRange("microBatch", limits.rows(), kMostRows);
  CheckRange("logitRows", limits.logit_rows, 1 << 20);
  CheckRange("threads", limits.threads, 1024);
  return limits;
}

ComputeLimits ComputeLimitsOf(const TrainingLimits& limits, const ModelConfig& config, DType dtype, ModelHead head) {
  const uint64_t hidden = config.hidden_size, intermediate = config.intermediate_size, q = config.q_size();
  const uint64_t qkv = q + 2 * config.kv_size(), logits = head == ModelHead::kLanguage ? config.vocab_size : 1;
  // An input twice, as high bits and rest, or a gradient beside an input.
  const uint64_t widest_pair = std::max({2 * hidden, 2 * q, 2 * intermediate, qkv + hidden, q + hidden,
                                         2 * intermediate + hidden});
  return {.rows = std::max(limits.rows(), limits.logit_rows),
          .sequence_tokens = limits.sequence_tokens,
          .widest_input = std::max({hidden, 2 * intermediate, qkv, logits}),
          .weights = dtype,
          .product_elements = std::max(limits.rows() * widest_pair, limits.logit_rows * (logits + hidden)),
          .threads = limits.threads};
}

TrainingMemory::TrainingMemory(const ModelConfig& config, DType dtype, ModelHead head, const TrainingLimits& limits,
                               uint64_t scratch_bytes)
    : config_(config),
      head_(head),
      limits_(limits),
      scratch_bytes_(scratch_bytes),
      gradient_layout_(config, limits.gradients, head),
      optimizer_layout_(config, dtype, head, limits.moments, limits.master_weights) {
  if (limits.trainable && dtype == DType::kI8) {
    throw Error("unsupported", "int8 weights can only score: an update would be smaller than their steps",
                "make the trainer with trainable false, or the model in another dtype")
        .WithField("dtype");
  }
  // The largest buffers, in floating point first: the sums below are then far from 2^64.
  const double widest = static_cast<double>(2 * config.intermediate_size + config.q_size() + 3 * config.hidden_size);
  const double most = static_cast<double>(limits.rows()) * widest * static_cast<double>(config.layers + 4) * 16 +
                      static_cast<double>(limits.logit_rows) * static_cast<double>(config.vocab_size) * 4;
  if (most > kMostBytes) {
    throw Error("bad_argument", "these limits ask for activations of more than 2^53 bytes").WithField("microBatch");
  }
  ActivationBuffers activations;
  bytes_.activations = PlaceActivations(nullptr, activations);
  HeadBuffers head_buffers{};
  bytes_.logits = PlaceHead(nullptr, head_buffers);
  if (limits.trainable) {
    bytes_.gradients = gradient_layout_.total_bytes();
    bytes_.optimizer = optimizer_layout_.total_bytes();
  }
}

ActivationBuffers TrainingMemory::Activations(void* base) const {
  ActivationBuffers buffers;
  PlaceActivations(static_cast<std::byte*>(base), buffers);
  return buffers;
}

HeadBuffers TrainingMemory::Head(void* base) const {
  HeadBuffers buffers{};
  PlaceHead(static_cast<std::byte*>(base), buffers);
  return buffers;
}

uint64_t TrainingMemory::PlaceActivations(std::byte* base, ActivationBuffers& buffers) const {
  Placer placer(base);
  const uint64_t rows = limits_.rows(), hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const uint64_t q = config_.q_size(), kv = config_.kv_size();

  const auto place_layer = [&](LayerActivations& layer) {
    layer.raw_qk = config_.qk_norm ? placer.Floats(rows * (q + kv)) : nullptr;
    layer.qkv = placer.Floats(rows * (q + 2 * kv));
    layer.log_sums = placer.Floats(rows * config_.heads);
    layer.attention = placer.Floats(rows * q);
    layer.middle = placer.Floats(rows * hidden);
    layer.gate_up = placer.Floats(rows * 2 * intermediate);
  };
  buffers.layers.resize(config_.layers);
  if (limits_.trainable) {
    for (LayerActivations& layer : buffers.layers) layer.input = placer.Floats(rows * hidden);
  }
  if (limits_.trainable && !limits_.checkpointing) {
    for (LayerActivations& layer : buffers.layers) place_layer(layer);
  } else {  // all layers take turns in one set
    LayerActivations shared{};
    place_layer(shared);
    for (LayerActivations& layer : buffers.layers) {
      float* input = limits_.trainable ? layer.input : nullptr;
      layer = shared;
      layer.input = input;
    }
  }

  buffers.hidden = placer.Floats(rows * hidden);
  buffers.normed = placer.Floats(rows * hidden);
  buffers.cosine = placer.Floats(rows * config_.head_dim / 2);
  buffers.sine = placer.Floats(rows * config_.head_dim / 2);
  const uint64_t stage = placer.offset();
  buffers.activated = placer.Floats(rows * intermediate);
  if (limits_.trainable) {
    const uint64_t feed_end = placer.offset();
    placer.GoBackTo(stage);
    buffers.d_attention = placer.Floats(rows * q);
    buffers.d_qkv = placer.Floats(rows * (q + 2 * kv));
    placer.GoBackTo(std::max(feed_end, placer.offset()));
    buffers.d_hidden = placer.Floats(rows * hidden);
    buffers.inverse_rms = placer.Floats(rows);
  } else {
    buffers.d_attention = buffers.d_qkv = buffers.d_hidden = buffers.inverse_rms = nullptr;
  }
  buffers.scratch = reinterpret_cast<std::byte*>(placer.Floats(scratch_bytes_ / sizeof(float)));
  return placer.offset();
}

uint64_t TrainingMemory::PlaceHead(std::byte* base, HeadBuffers& buffers) const {
  Placer placer(base);
  const uint64_t rows = limits_.logit_rows, hidden = config_.hidden_size;
  buffers.input = placer.Floats(rows * hidden);
  buffers.normed = placer.Floats(rows * hidden);
  buffers.d_normed = limits_.trainable ? placer.Floats(rows * hidden) : nullptr;
  buffers.inverse_rms = limits_.trainable ? placer.Floats(rows) : nullptr;
  buffers.logits = placer.Floats(head_ == ModelHead::kValue ? hidden : rows * config_.vocab_size);
  return placer.offset();
}

}  // namespace tideline
