// What the files of CudaCompute share: spans on their way up, and how work is cut into blocks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "compute/cuda/cuda_compute.h"  // CudaCompute
#include "compute/cuda/kernel_args.h"   // kRowThreads, kMostHeadDim
#include "memory/error.h"               // Error

namespace tideline {

class CudaCompute::Arguments {
 public:
  explicit Arguments(CudaCompute& compute) : compute_(compute) {}

  template <typename T>
  const T* Upload(std::span<const T> values) {
    constexpr uint64_t kAlignment = 16;
    std::byte* at = compute_.scratch_.arguments + used_;
    used_ += (values.size_bytes() + kAlignment - 1) / kAlignment * kAlignment;
    if (used_ > CudaScratch::ArgumentBytes(compute_.limits_)) {
      throw Error("internal", "a call has more rows than its limits said");
    }
    compute_.stream_.Upload(at, values.data(), values.size_bytes());
    return reinterpret_cast<const T*>(at);
  }

 private:
  CudaCompute& compute_;
  uint64_t used_ = 0;
};

constexpr uint64_t BlocksFor(uint64_t count, uint64_t each) { return (count + each - 1) / each; }
// One block of threads per row and kRowThreads columns.
constexpr Grid RowGrid(uint64_t rows, uint64_t columns) { return {rows, BlocksFor(columns, cuda::kRowThreads)}; }
// Of kernels that go through a flat list by strides.
constexpr uint64_t kMostFlatBlocks = 2048;
constexpr Grid FlatGrid(uint64_t elements) {
  return {std::min(kMostFlatBlocks, BlocksFor(elements, cuda::kRowThreads))};
}

// Whether a flat list can be taken four numbers at a time.
inline bool InFours(uint64_t elements, std::initializer_list<const void*> addresses) {
  constexpr uintptr_t kWideBytes = 16;
  return elements % 4 == 0 && std::all_of(addresses.begin(), addresses.end(), [](const void* address) {
           return reinterpret_cast<uintptr_t>(address) % kWideBytes == 0;
         });
}

// Kernels are compiled for these widths of a head. Error unsupported beyond them.
inline unsigned PaddedHeadDim(uint64_t head_dim) {
  for (const unsigned padded : {64u, 128u, cuda::kMostHeadDim}) {
    if (head_dim <= padded) return padded;
  }
  throw Error("unsupported", "heads of " + std::to_string(head_dim) + " numbers are too wide for the CUDA kernels",
              "at most 256; use the host device");
}

inline std::string KernelName(const std::string& kernel, DType dtype) {
  return kernel + "_" + std::string(DTypeName(dtype));
}

inline DType BiasDType(const LinearWeights& linear) {
  return linear.dtype == DType::kI8 ? DType::kF32 : linear.dtype;
}

inline float AttentionScale(uint64_t head_dim) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

}  // namespace tideline
