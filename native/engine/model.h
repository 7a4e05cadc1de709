// Model: the weights of one model in the fused layout, in a region of their own. The engine owns one
// (`engine.weights`); others (`policy.weights`, `reference.weights`, …) sit beside it and can be copied into it or be
// read by it in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"  // TensorSource
#include "engine/weights_layout.h"     // WeightsLayout
#include "memory/device.h"             // Device, Region, Receipt

namespace tideline {

// Thread-safe: long operations on one model follow each other; observing never waits for them.
class Model {
 public:
  // Reserves addresses; nothing is resident yet. Errors: checkpoint_invalid (CheckConfig), unsupported for a device
  // that is not the host.
  Model(std::shared_ptr<Device> device, const ModelConfig& config, DType dtype, std::string consumer,
        ModelHead head = ModelHead::kLanguage);

  const ModelConfig& config() const { return config_; }
  const WeightsLayout& layout() const { return layout_; }
  const std::string& consumer() const { return consumer_; }
  const std::shared_ptr<Device>& device() const { return device_; }
  RegionObservation Observe() const { return region()->Observe(); }

  // First byte of the weights, for the time that nobody can release them (the engine's business).
  // Errors: not_resident, contents_undefined.
  const std::byte* Weights() const { return static_cast<const std::byte*>(region()->Data()); }

  // Resumes if needed and fills the region. Refused without any change: everything PlanFromCheckpoint refuses,
  // out_of_memory, shared. A copy that fails or is cancelled midway cannot bring the old bytes back: the region is
  // released again if it was, otherwise its contents are undefined, and the error says so.
  Receipt Load(const std::vector<TensorSource>& sources, const Operation& operation);
  // The same from another model on this device, whose shapes have been compared.
  Receipt CopyFrom(const Model& source, const Operation& operation);

  // The same from whatever `fill` knows; it returns the bytes written, and may throw to stop.
  Receipt LoadFrom(const std::string& method, const std::function<uint64_t(std::byte* target)>& fill,
                   const Operation& operation);

  // Errors of Region, and `shared` while others read these bytes.
  Receipt Release(const ReleaseOptions& options, const Operation& operation);
  Receipt Resume(const Operation& operation);

  // Run `use` while nothing else may happen to the weights: no release, load or save. Update then marks them as changed,
  // also when `use` throws. Errors: not_resident, contents_undefined.
  void Read(const std::function<void(const std::byte* weights)>& use) const;
  void Update(const std::function<void(std::byte* weights)>& use);

  // Bytes of a Hugging Face tensor. Errors: not_found, not_resident, contents_undefined.
  std::vector<std::byte> ReadTensor(const std::string& name) const;
  // `header`, then the tensors back to back, written atomically (checkpoint_writer.h).
  void Save(const std::string& path, std::span<const std::byte> header, const std::vector<std::string>& names,
            const Operation& operation) const;

  // Between the two, the region stays as it is: release, load and close are refused with `shared`.
  // BeginSharing errors: not_resident, contents_undefined.
  void BeginSharing(const std::string& reader);
  void EndSharing(const std::string& reader);
  // On the reading side: what observers see of this model's released region. Empty ends it.
  void ShowSharedWith(const std::string& consumer) { region()->SetSharedWith(consumer); }

  // Frees addresses, chunks and backups; later calls get bad_argument. Error: shared.
  void Close();

 private:
  std::shared_ptr<Region> region() const;
  void RefuseWhileShared(const char* action) const;
  // Resumes if needed, runs `fill`, and cleans up after a failure as Load promises. Returns the bytes committed.
  template <typename Fill>
  uint64_t Overwrite(const Operation& operation, const Fill& fill);

  const std::shared_ptr<Device> device_;
  const ModelConfig config_;
  const WeightsLayout layout_;
  const std::string consumer_;

  mutable std::mutex operation_mutex_;  // one long operation at a time; taken before state_mutex_
  mutable std::mutex state_mutex_;
  std::shared_ptr<Region> region_;
  std::vector<std::string> readers_;
};

}  // namespace tideline
