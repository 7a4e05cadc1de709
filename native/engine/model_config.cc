#include "engine/model_config.h"

#include <cmath>
#include <numbers>

#include "compute/host/kernels.h"  // BestKernels
#include "memory/error.h"          // Error

namespace tideline {
namespace {

[[noreturn]] void Refuse(const std::string& field, const std::string& why) {
  throw Error("checkpoint_invalid", "the model's configuration is not usable: " + field + " " + why,
              "config.json is damaged or describes another kind of model")
      .WithField(field);
}

void CheckCount(const char* field, uint64_t value, uint64_t most) {
  if (value < 1 || value > most) {
    Refuse(field, "is " + std::to_string(value) + ", and has to be between 1 and " + std::to_string(most));
  }
}

void CheckPositive(const char* field, double value) {
  if (!std::isfinite(value) || value <= 0) Refuse(field, "is " + std::to_string(value) + ", and has to be above 0");
}

double Rounded(double value, std::optional<DType> dtype) {
  if (!dtype) return value;
  const float single = static_cast<float>(value);
  std::byte stored[sizeof(float)];
  float back = 0;
  BestKernels().convert(stored, *dtype, &single, DType::kF32, 1);
  BestKernels().convert(&back, DType::kF32, stored, *dtype, 1);
  return back;
}

}  // namespace

void CheckConfig(const ModelConfig& config) {
  CheckCount("vocabSize", config.vocab_size, 1 << 24);
  CheckCount("hiddenSize", config.hidden_size, 1 << 18);
  CheckCount("intermediateSize", config.intermediate_size, 1 << 20);
  CheckCount("layers", config.layers, 1024);
  CheckCount("heads", config.heads, 4096);
  CheckCount("kvHeads", config.kv_heads, 4096);
  CheckCount("headDim", config.head_dim, kMostHeadDim);
  CheckCount("maxPositions", config.max_positions, 1 << 28);
  if (config.heads % config.kv_heads != 0) {
    Refuse("kvHeads", "is " + std::to_string(config.kv_heads) + ", which does not divide heads (" +
                          std::to_string(config.heads) + ")");
  }
  if (config.head_dim % 2 != 0) Refuse("headDim", "is odd, and rotary embeddings need pairs");
  if (config.q_size() > (1 << 20)) Refuse("headDim", "times heads is more than " + std::to_string(1 << 20));
  if (!std::isfinite(config.rms_norm_eps) || config.rms_norm_eps < 0 || config.rms_norm_eps > 1) {
    Refuse("rmsNormEps", "has to be between 0 and 1");
  }
  const RopeConfig& rope = config.rope;
  CheckPositive("rope.theta", rope.theta);
  CheckPositive("rope.factor", rope.factor);
  if (rope.type == RopeConfig::Type::kLlama3) {
    CheckPositive("rope.lowFreqFactor", rope.low_freq_factor);
    CheckPositive("rope.highFreqFactor", rope.high_freq_factor);
    CheckCount("rope.originalMaxPositions", rope.original_max_positions, 1 << 28);
    if (rope.high_freq_factor <= rope.low_freq_factor) Refuse("rope.highFreqFactor", "has to be above rope.lowFreqFactor");
  }
}

std::string FirstArithmeticDifference(const ModelConfig& a, const ModelConfig& b) {
  if (a.heads != b.heads) return "heads";
  if (a.kv_heads != b.kv_heads) return "kvHeads";
  if (a.head_dim != b.head_dim) return "headDim";
  if (a.rms_norm_eps != b.rms_norm_eps) return "rmsNormEps";
  if (a.rope != b.rope) return "rope";
  return {};
}

std::vector<double> InverseFrequencies(const ModelConfig& config) {
  const RopeConfig& rope = config.rope;
  std::vector<double> frequencies(config.head_dim / 2);
  for (size_t pair = 0; pair < frequencies.size(); ++pair) {
    const double plain = std::pow(rope.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(config.head_dim));
    double frequency = plain;
    if (rope.type == RopeConfig::Type::kLinear) {
      frequency = plain / rope.factor;
    } else if (rope.type == RopeConfig::Type::kLlama3) {
      // Llama 3: long wavelengths are stretched, short ones kept, those between blended (transformers,
      // modeling_rope_utils.py, _compute_llama3_parameters).
      const double wavelength = 2 * std::numbers::pi / plain;
      const double original = static_cast<double>(rope.original_max_positions);
      if (wavelength > original / rope.low_freq_factor) {
        frequency = plain / rope.factor;
      } else if (wavelength >= original / rope.high_freq_factor) {
        const double smooth =
            (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
        frequency = (1 - smooth) * plain / rope.factor + smooth * plain;
      }
    }
    frequencies[pair] = Rounded(frequency, rope.frequency_dtype);
  }
  return frequencies;
}

}  // namespace tideline
