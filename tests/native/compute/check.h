// The same call on the host and on the GPU, or on its double: what a check is made with.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "compute/cuda/cuda_compute.h"
#include "compute/host/host_compute.h"

namespace compute_check {

using namespace tideline;

// Memory that both sides reach: the heap's for the double, of exactly its size, so that AddressSanitizer sees what lies
// beyond; managed memory for a real GPU (managed_memory.cc).
#ifdef TIDELINE_ON_GPU
void* AllocateManaged(size_t bytes);
void FreeManaged(void* memory);
template <typename T>
struct Reached {
  using value_type = T;
  Reached() = default;
  template <typename Other>
  Reached(const Reached<Other>&) {}
  T* allocate(size_t count) { return static_cast<T*>(AllocateManaged(count * sizeof(T))); }
  void deallocate(T* memory, size_t) { FreeManaged(memory); }
  bool operator==(const Reached&) const = default;
};
#else
template <typename T>
using Reached = std::allocator<T>;
#endif
using Floats = std::vector<float, Reached<float>>;
using Bytes = std::vector<std::byte, Reached<std::byte>>;

inline int failures = 0, checks = 0;
inline std::mt19937 random_bits(1);

inline Floats Normals(size_t count, float scale = 1) {
  std::normal_distribution<float> normal(0, scale);
  Floats values(count);
  for (float& value : values) value = normal(random_bits);
  return values;
}
inline std::vector<uint32_t> Below(size_t count, uint32_t most) {
  std::vector<uint32_t> values(count);
  for (uint32_t& value : values) value = random_bits() % most;
  return values;
}

// A Compute of its limits with the scratch that it asks for, and not a byte more.
template <typename C, typename... Given>
struct Ready {
  explicit Ready(const ComputeLimits& limits, Given... given) : compute(given..., limits), scratch(compute.scratch_bytes()) {
    compute.UseScratch(scratch.data());
  }
  C compute;
  Bytes scratch;
};

struct Pair {
  explicit Pair(const ComputeLimits& limits) : host(limits), gpu(limits, 0) {}
  Ready<HostCompute> host;
  Ready<CudaCompute, int> gpu;
};

// Numbers of one stored type, made of `values`.
inline Bytes Stored(const Floats& values, DType dtype) {
  Bytes bytes(values.size() * DTypeBytes(dtype));
  if (dtype == DType::kI8) {
    for (size_t i = 0; i < values.size(); ++i) bytes[i] = static_cast<std::byte>(static_cast<int8_t>(random_bits() % 255 - 127));
    return bytes;
  }
  HostCompute host({.threads = 1});
  const ConvertPiece piece{bytes.data(), values.data(), values.size()};
  host.Convert({&piece, 1}, dtype, DType::kF32);
  return bytes;
}

// The sum of two numbers of 16-bit types is what cuBLAS is given for an activation: with these it is given just that.
inline Floats OfTwoParts(size_t count, DType dtype) {
  Floats values = Normals(count);
  if (dtype == DType::kF32) return values;
  HostCompute host({.threads = 1});
  for (float& value : values) {
    uint16_t stored;
    float high, rest = value;
    const auto narrow = [&](float number) {
      const ConvertPiece down{&stored, &number, 1};
      host.Convert({&down, 1}, dtype, DType::kF32);
      const ConvertPiece up{&number, &stored, 1};
      host.Convert({&up, 1}, DType::kF32, dtype);
      return number;
    };
    high = narrow(value);
    rest = narrow(value - high);
    value = high + rest;
  }
  return values;
}

// Runs `call` on both, each on copies of `outputs`, and compares those, or what lies in them of `dtype`. Every number may be
// off by `tolerance` times 1 + its size: inputs are made so that results are about 1.
using Call = std::function<void(Compute&, const std::vector<float*>& outputs)>;
inline void Same(Pair& pair, const std::string& what, const std::vector<Floats>& outputs, double tolerance, const Call& call) {
  std::vector<Floats> of_host = outputs, of_gpu = outputs;
  const auto run = [&](Compute& compute, std::vector<Floats>& into) {
    std::vector<float*> pointers;
    for (Floats& floats : into) pointers.push_back(floats.data());
    call(compute, pointers);
    compute.Finish();
  };
  run(pair.host.compute, of_host);
  run(pair.gpu.compute, of_gpu);
  ++checks;
  for (size_t output = 0; output < outputs.size(); ++output) {
    for (size_t i = 0; i < outputs[output].size(); ++i) {
      const double expected = of_host[output][i], got = of_gpu[output][i];
      // Not the other way round: a NaN is no match.
      if (std::abs(expected - got) <= tolerance * (1 + std::abs(expected))) continue;
      if (++failures <= 20) {
        std::printf("FAIL %s: output %zu, element %zu is %.9g, on the host %.9g\n", what.c_str(), output, i, got, expected);
      }
      return;
    }
  }
}

// Floats as they are in another type.
inline Floats Widened(const Bytes& stored, DType dtype) {
  Floats widened(stored.size() / DTypeBytes(dtype));
  const ConvertPiece piece{widened.data(), stored.data(), widened.size()};
  HostCompute({.threads = 1}).Convert({&piece, 1}, DType::kF32, dtype);
  return widened;
}
inline Floats Narrowed(const Floats& floats, DType dtype) { return Widened(Stored(floats, dtype), dtype); }

// By how much of itself a number changes at most when it is rounded to the nearest of its type.
inline double RoundingOf(DType dtype) { return dtype == DType::kF32 ? 0 : dtype == DType::kF16 ? 0x1p-11 : 0x1p-8; }

// Every number of `got`, which is stored as `dtype`, has to be the `expected` one rounded once, or as far from it as
// `tolerance` and further roundings allow, which are those of sums of up to about 4.
inline void Rounded(const std::string& what, const Floats& got, const Floats& expected, DType dtype, double tolerance,
                    unsigned roundings = 1) {
  ++checks;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double size = std::abs(static_cast<double>(expected[i]));
    const double most = RoundingOf(dtype) * (size + 4 * (roundings - 1)) + tolerance * (1 + size);
    if (std::abs(static_cast<double>(got[i]) - expected[i]) <= most) continue;
    if (++failures <= 20) {
      std::printf("FAIL %s: element %zu of %s is %.9g, before rounding %.9g\n", what.c_str(), i,
                  std::string(DTypeName(dtype)).c_str(), got[i], expected[i]);
    }
    return;
  }
}

// Calls that add to gradients of so many elements, beside outputs: to float32 the same on both sides, to bfloat16 what comes
// of that when it is rounded once. `roundings`: of a GPU that computes in parts.
using Adds = std::function<void(Compute&, const std::vector<float*>& outputs, const std::vector<Gradient>& gradients)>;
inline void SameGradients(Pair& pair, const std::string& what, const std::vector<Floats>& outputs,
                          const std::vector<size_t>& sizes, double tolerance, const Adds& call, unsigned roundings = 1) {
  std::vector<Floats> both = outputs;
  for (const size_t size : sizes) both.push_back(Narrowed(Normals(size), DType::kBF16));
  const auto in_float32 = [&](Compute& compute, const std::vector<float*>& pointers) {
    std::vector<Gradient> gradients;
    for (size_t i = outputs.size(); i < pointers.size(); ++i) {
      gradients.push_back({reinterpret_cast<std::byte*>(pointers[i]), DType::kF32});
    }
    call(compute, {pointers.begin(), pointers.begin() + static_cast<ptrdiff_t>(outputs.size())}, gradients);
  };
  Same(pair, what, both, tolerance, in_float32);

  std::vector<Floats> expected = both;
  const auto pointers_to = [](std::vector<Floats>& floats) {
    std::vector<float*> pointers;
    for (Floats& each : floats) pointers.push_back(each.data());
    return pointers;
  };
  in_float32(pair.host.compute, pointers_to(expected));
  for (Compute* compute : {static_cast<Compute*>(&pair.host.compute), static_cast<Compute*>(&pair.gpu.compute)}) {
    std::vector<Floats> into = outputs;
    std::vector<Bytes> stored;
    for (size_t i = outputs.size(); i < both.size(); ++i) stored.push_back(Stored(both[i], DType::kBF16));
    std::vector<Gradient> gradients;
    for (Bytes& bytes : stored) gradients.push_back({bytes.data(), DType::kBF16});
    call(*compute, pointers_to(into), gradients);
    compute->Finish();
    for (size_t i = 0; i < stored.size(); ++i) {
      Rounded(what + (compute == &pair.host.compute ? " on the host" : ""), Widened(stored[i], DType::kBF16),
              expected[outputs.size() + i], DType::kBF16, tolerance, compute == &pair.host.compute ? 1 : roundings);
    }
  }
}

inline void SameBytes(Pair& pair, const std::string& what, const Bytes& output,
                      const std::function<void(Compute&, std::byte*)>& call) {
  Bytes of_host = output, of_gpu = output;
  call(pair.host.compute, of_host.data());
  call(pair.gpu.compute, of_gpu.data());
  pair.gpu.compute.Finish();
  ++checks;
  if (of_host != of_gpu && ++failures <= 20) std::printf("FAIL %s: other bytes\n", what.c_str());
}

inline MicroBatch BatchOf(const std::vector<uint32_t>& lengths, uint32_t vocabulary) {
  MicroBatch batch;
  for (const uint32_t length : lengths) batch.Add(Below(length, vocabulary));
  return batch;
}

void CheckPassThrough();
void CheckRows();        // rows.cc
void CheckLinear();      // linear.cc
void CheckAttention();   // attention.cc
void CheckHeads();       // heads.cc
void CheckGeneration();  // generation.cc

}  // namespace compute_check
