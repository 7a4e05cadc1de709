#include "training/scratch.h"

namespace tideline {

Scratch::Scratch(const std::shared_ptr<Device>& device, uint64_t activations_bytes, uint64_t logits_bytes)
    : device_(device),
      activations_bytes_(activations_bytes),
      logits_bytes_(logits_bytes),
      activations_(device->CreateRegion("activations", "activations", activations_bytes)),
      logits_(device->CreateRegion("logits", "logits", logits_bytes)) {}

Scratch::Held Scratch::Hold() {
  std::unique_lock lock(mutex_);
  return {std::move(lock), activations_->MutableData(), logits_->MutableData()};
}

std::vector<RegionObservation> Scratch::Observe() const { return {activations_->Observe(), logits_->Observe()}; }

Receipt Scratch::Release(ScratchTag tag, const ReleaseOptions& options, const Operation& operation) {
  const std::lock_guard lock(mutex_);
  return RegionOf(tag).Release(options, operation);
}

Receipt Scratch::Resume(ScratchTag tag, const Operation& operation) {
  const std::lock_guard lock(mutex_);
  const Receipt receipt = RegionOf(tag).Resume(operation);
  // Nothing in it outlives an operation: there is nothing to define.
  RegionOf(tag).SetUsedBytes(tag == ScratchTag::kActivations ? activations_bytes_ : logits_bytes_);
  return receipt;
}

void Scratch::Close() {
  const std::lock_guard lock(mutex_);
  activations_->Close();
  logits_->Close();
}

}  // namespace tideline
