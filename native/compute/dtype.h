// The storage types of weights and KV cache, their spellings, and the exact scalar conversions that the vector kernels
// have to agree with.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tideline {

// kI8 is for the matrices of models that only score: whole numbers, and a float32 scale per row beside them.
enum class DType { kF32, kF16, kBF16, kI8 };

constexpr uint64_t DTypeBytes(DType dtype) { return dtype == DType::kF32 ? 4 : dtype == DType::kI8 ? 1 : 2; }

// Tideline's spelling (native/addon.d.ts).
constexpr std::string_view DTypeName(DType dtype) {
  return dtype == DType::kF32 ? "float32" : dtype == DType::kF16 ? "float16" : dtype == DType::kBF16 ? "bfloat16" : "int8";
}
// Safetensors' spelling.
constexpr std::string_view SafetensorsName(DType dtype) {
  return dtype == DType::kF32 ? "F32" : dtype == DType::kF16 ? "F16" : dtype == DType::kBF16 ? "BF16" : "I8";
}
// Of the three that are numbers by themselves, in either spelling.
constexpr std::optional<DType> DTypeFromName(std::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    if (DTypeName(dtype) == name || SafetensorsName(dtype) == name) return dtype;
  }
  return std::nullopt;
}

inline float BF16ToF32(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

// Round to nearest even; a NaN stays a (quiet) NaN instead of rounding to infinity.
inline uint16_t F32ToBF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace tideline
