// Every buffer that a step of the engine computes in, sized once from the options and the config, in a region of its
// own (`workspace`): a step allocates nothing, and idle activations can be given back like any other tag.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model_config.h"  // ModelConfig
#include "memory/device.h"        // Device, Region

namespace tideline {

// Pointers into the resident region; see the shapes.
struct WorkspaceBuffers {
  float* hidden;       // (tokens, hidden)
  float* normed;       // (tokens, hidden)
  float* qkv;          // (tokens, q + 2 kv)
  float* attention;    // (tokens, q)
  float* gate_up;      // (tokens, 2 intermediate)
  float* activated;    // (tokens, intermediate)
  float* cosine;       // (tokens, head_dim / 2)
  float* sine;         // (tokens, head_dim / 2)
  float* logits_input; // (logit_rows, hidden)
  float* logits;       // (logit_rows, vocab)
  float* probabilities; // (vocab), of the host's sampler; nullptr elsewhere
  std::byte* scratch;  // the Compute's
};

class Workspace {
 public:
  // tokens: most in one step. logit_rows: most rows of logits at once. scratch_bytes: of the Compute that works in it.
  // Error: bad_argument when the sizes pass 2^53 bytes.
  Workspace(Device& device, const ModelConfig& config, uint64_t tokens, uint64_t logit_rows, uint64_t scratch_bytes);

  Region& region() const { return *region_; }
  uint64_t tokens() const { return tokens_; }
  uint64_t logit_rows() const { return logit_rows_; }
  // Error: not_resident.
  WorkspaceBuffers Buffers() const;
  // After a resume: nothing in it outlives a step, so its contents need no defining.
  void ShowUsed() const { region_->SetUsedBytes(bytes_); }

 private:
  // Lays the buffers out from `base`; returns the bytes they take.
  uint64_t Place(std::byte* base, WorkspaceBuffers& buffers) const;

  const ModelConfig config_;
  const uint64_t tokens_, logit_rows_, scratch_bytes_;
  const bool on_host_;
  uint64_t bytes_ = 0;
  std::shared_ptr<Region> region_;
};

}  // namespace tideline
