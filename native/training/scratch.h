// Scratch: the two regions that nothing outlives an operation in, activations and logits. A trainer has its own, or
// several on one device share one that is as large as the largest of them needs: only one computes at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/device.h"  // Device, Region, Receipt, Operation

namespace tideline {

enum class ScratchTag { kActivations, kLogits };

// Thread-safe: releasing and resuming wait for who computes, and the other way round.
class Scratch {
 public:
  // Reserves addresses only: consumers `activations` and `logits`.
  Scratch(const std::shared_ptr<Device>& device, uint64_t activations_bytes, uint64_t logits_bytes);

  const std::shared_ptr<Device>& device() const { return device_; }
  uint64_t activations_bytes() const { return activations_bytes_; }
  uint64_t logits_bytes() const { return logits_bytes_; }

  // The first byte of each, for nobody else as long as this lives. What is in there is whatever the last one left.
  struct Held {
    std::unique_lock<std::mutex> lock;
    void* activations;
    void* logits;
  };
  // Error: not_resident.
  Held Hold();

  std::vector<RegionObservation> Observe() const;
  Receipt Release(ScratchTag tag, const ReleaseOptions& options, const Operation& operation);
  Receipt Resume(ScratchTag tag, const Operation& operation);
  void Close();

 private:
  Region& RegionOf(ScratchTag tag) const { return tag == ScratchTag::kActivations ? *activations_ : *logits_; }

  const std::shared_ptr<Device> device_;
  const uint64_t activations_bytes_, logits_bytes_;
  const std::shared_ptr<Region> activations_, logits_;
  std::mutex mutex_;
};

}  // namespace tideline
