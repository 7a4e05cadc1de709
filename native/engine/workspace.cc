#include "engine/workspace.h"

#include "memory/error.h"  // Error

namespace tideline {

Workspace::Workspace(Device& device, const ModelConfig& config, uint64_t tokens, uint64_t logit_rows,
                     uint64_t scratch_bytes)
    : config_(config),
      tokens_(tokens),
      logit_rows_(logit_rows),
      scratch_bytes_(scratch_bytes),
      on_host_(device.is_host()) {
  WorkspaceBuffers buffers{};
  bytes_ = Place(nullptr, buffers);
  if (bytes_ > (uint64_t{1} << 53)) {
    throw Error("bad_argument", "maxBatch and prefillTokens ask for a workspace of more than 2^53 bytes")
        .WithField("prefillTokens");
  }
  region_ = device.CreateRegion("workspace", "workspace", bytes_);
}

WorkspaceBuffers Workspace::Buffers() const {
  WorkspaceBuffers buffers{};
  Place(static_cast<std::byte*>(region_->MutableData()), buffers);
  return buffers;
}

uint64_t Workspace::Place(std::byte* base, WorkspaceBuffers& buffers) const {
  uint64_t offset = 0;
  // Counts are bounded by CheckConfig and the engine's options: products stay far below 2^64.
  const auto place = [&](uint64_t count) {
    float* at = reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(base) + offset);
    offset += (count * sizeof(float) + 63) / 64 * 64;
    return at;
  };
  const uint64_t q = config_.q_size(), kv = config_.kv_size(), hidden = config_.hidden_size;
  buffers.hidden = place(tokens_ * hidden);
  buffers.normed = place(tokens_ * hidden);
  buffers.qkv = place(tokens_ * (q + 2 * kv));
  buffers.attention = place(tokens_ * q);
  buffers.gate_up = place(tokens_ * 2 * config_.intermediate_size);
  buffers.activated = place(tokens_ * config_.intermediate_size);
  buffers.cosine = place(tokens_ * config_.head_dim / 2);
  buffers.sine = place(tokens_ * config_.head_dim / 2);
  buffers.logits_input = place(logit_rows_ * hidden);
  buffers.logits = place(logit_rows_ * config_.vocab_size);
  buffers.probabilities = on_host_ ? place(config_.vocab_size) : nullptr;
  buffers.scratch = reinterpret_cast<std::byte*>(place(scratch_bytes_ / sizeof(float)));
  return offset;
}

}  // namespace tideline
