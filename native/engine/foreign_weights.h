// Weights that a trainer in another process hands over: where its tensors lie in allocations of the engine's own GPU
// (foreign_memory.h). Nothing in the table is trusted, and all of it is checked before the first byte is copied.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/weights_layout.h"  // WeightsLayout, TensorSlice
#include "memory/device.h"          // Device, ForeignHandle, Operation

namespace tideline {

struct ForeignTensor {
  std::string name;
  std::string dtype;  // safetensors spelling
  std::vector<uint64_t> shape;
  uint64_t allocation = 0;  // index
  uint64_t offset = 0;      // from the allocation's first byte
  uint64_t bytes = 0;
};

struct ForeignWeights {
  std::string device_uuid;
  std::vector<ForeignHandle> allocations;
  std::vector<ForeignTensor> tensors;  // those that the layout does not have are ignored
};

// What needs no memory to be opened. Errors: unsupported (another device), weights_mismatch (with `tensor`: missing, another
// shape; or another dtype, since bytes are copied as they are), bad_argument (with `tensor`: lying sizes, no such allocation,
// twice; the device opens none of other processes).
void CheckForeignWeights(const WeightsLayout& layout, Device& device, const ForeignWeights& weights);

// The same weights with their memory open: nothing but the device can fail any more.
class OpenedWeights {
 public:
  // `weights` outlives it. Errors: CheckForeignWeights's, Device::OpenForeign's, bad_argument (with `tensor`: beyond the end
  // of its allocation).
  OpenedWeights(const WeightsLayout& layout, Device& device, const ForeignWeights& weights);

  // One copy on the device of every tensor, into weights that begin at `target`; returns the bytes. Throws what `operation`
  // throws.
  uint64_t CopyTo(std::byte* target, const Operation& operation) const;

 private:
  struct Copy {
    const ForeignMemory* memory;
    const TensorSlice* target;
    uint64_t offset;
  };
  std::vector<std::unique_ptr<const ForeignMemory>> memory_;
  std::vector<Copy> copies_;
};

}  // namespace tideline
