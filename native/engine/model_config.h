// What a config.json says about a model, after core/checkpoint has read it: the C++ side of ModelConfig in
// native/addon.d.ts. Shapes follow Hugging Face's names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compute/dtype.h"  // DType

namespace tideline {

struct RopeConfig {
  enum class Type { kDefault, kLinear, kLlama3 };
  Type type = Type::kDefault;
  double theta = 10000.0;
  double factor = 1.0;            // linear, llama3
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;  // llama3
  uint64_t original_max_positions = 0;  // llama3
  std::optional<DType> frequency_dtype;  // frequencies are rounded to it; exact when empty

  bool operator==(const RopeConfig&) const = default;
};

inline constexpr uint64_t kMostHeadDim = 4096;

struct ModelConfig {
  uint64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, layers = 0;
  uint64_t heads = 0, kv_heads = 0, head_dim = 0, max_positions = 0;
  double rms_norm_eps = 1e-6;
  bool tied_embeddings = false, qkv_bias = false, output_bias = false, mlp_bias = false, qk_norm = false;
  RopeConfig rope;

  uint64_t q_size() const { return heads * head_dim; }
  uint64_t kv_size() const { return kv_heads * head_dim; }
};

// Refuses numbers that no model has, so that nothing computed from a config can overflow.
// Error: checkpoint_invalid with `field`, spelled as in native/addon.d.ts.
void CheckConfig(const ModelConfig& config);

// The first field, other than those that tensor shapes show, in which two models compute differently; empty if none.
// Limits on use (max_positions) do not count.
std::string FirstArithmeticDifference(const ModelConfig& a, const ModelConfig& b);

// Rotations per position of each pair of a head: (head_dim / 2). In double precision unless the config rounds them.
std::vector<double> InverseFrequencies(const ModelConfig& config);

}  // namespace tideline
