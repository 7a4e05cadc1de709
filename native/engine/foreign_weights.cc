#include "engine/foreign_weights.h"

#include <map>
#include <utility>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr char kAgain[] = "describe the tensors as they lie there";

// The layout's tensors, each with the one that is handed over for it.
std::vector<std::pair<const TensorSlice*, const ForeignTensor*>> Matched(const WeightsLayout& layout,
                                                                         const ForeignWeights& weights) {
  std::map<std::string, const ForeignTensor*> by_name;
  for (const ForeignTensor& one : weights.tensors) {
    const std::string& name = one.name;
    if (!by_name.emplace(name, &one).second) {
      throw Error("bad_argument", name + " is handed over twice", kAgain).WithTensor(name);
    }
  }
  std::vector<std::pair<const TensorSlice*, const ForeignTensor*>> matched;
  for (const TensorSlice& slice : layout.tensors()) {
    const auto found = by_name.find(slice.name);
    if (found == by_name.end()) {
      throw Error("weights_mismatch", slice.name + " is not handed over", "hand over all weights of the same model")
          .WithTensor(slice.name);
    }
    matched.emplace_back(&slice, found->second);
  }
  return matched;
}

}  // namespace

void CheckForeignWeights(const WeightsLayout& layout, Device& device, const ForeignWeights& weights) {
  if (const std::string uuid = device.Uuid(); uuid != weights.device_uuid) {
    throw Error("unsupported",
                "the weights are on " + weights.device_uuid + ", and the engine on " + device.name() + ", which is " + uuid,
                "put trainer and engine on one GPU")
        .WithField("device");
  }
  for (const auto& [slice, given] : Matched(layout, weights)) {
    const ForeignTensor& tensor = *given;
    if (tensor.shape != slice->shape) {
      throw Error("weights_mismatch", tensor.name + " has another shape than the engine's", "hand over the same model")
          .WithTensor(tensor.name);
    }
    if (tensor.dtype != SafetensorsName(slice->dtype)) {
      throw Error("weights_mismatch",
                  tensor.name + " is stored as " + tensor.dtype + ", and the engine reads " +
                      std::string(SafetensorsName(slice->dtype)) + ": bytes are copied as they are",
                  "cast it before it is handed over")
          .WithTensor(tensor.name)
          .WithField("dtype");
    }
    if (tensor.bytes != slice->bytes) {
      throw Error("bad_argument",
                  tensor.name + " takes " + std::to_string(tensor.bytes) + " bytes, and its dtype and shape need " +
                      std::to_string(slice->bytes),
                  kAgain)
          .WithTensor(tensor.name);
    }
    if (tensor.allocation >= weights.allocations.size()) {
      throw Error("bad_argument", tensor.name + " lies in allocation " + std::to_string(tensor.allocation) + " of " +
                                      std::to_string(weights.allocations.size()), kAgain)
          .WithTensor(tensor.name);
    }
  }
}

OpenedWeights::OpenedWeights(const WeightsLayout& layout, Device& device, const ForeignWeights& weights) {
  CheckForeignWeights(layout, device, weights);
  for (const ForeignHandle& handle : weights.allocations) memory_.push_back(device.OpenForeign(handle));
  for (const auto& [slice, given] : Matched(layout, weights)) {
    const ForeignMemory& memory = *memory_[given->allocation];
    const uint64_t offset = given->offset;
    if (offset > memory.bytes() || slice->bytes > memory.bytes() - offset) {
      throw Error("bad_argument",
                  slice->name + " ends at byte " + std::to_string(offset + slice->bytes) + " of an allocation of " +
                      std::to_string(memory.bytes()),
                  kAgain)
          .WithTensor(slice->name);
    }
    copies_.push_back({&memory, slice, offset});
  }
}

uint64_t OpenedWeights::CopyTo(std::byte* target, const Operation& operation) const {
  uint64_t total_bytes = 0, done_bytes = 0;
  for (const Copy& copy : copies_) total_bytes += copy.target->bytes;
  operation.Step(0, total_bytes);
  for (const Copy& copy : copies_) {
    copy.memory->CopyTo(target + copy.target->offset, copy.offset, copy.target->bytes);
    done_bytes += copy.target->bytes;
    operation.Step(done_bytes, total_bytes);
  }
  return total_bytes;
}

}  // namespace tideline
