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
#include "engine/weights_loader.h"     // Bucket
#include "memory/device.h"             // Device, Region, Receipt

namespace tideline {

// Who reads a model's bytes in place: the engine, after a swap by `share`.
class WeightsReader {
 public:
  virtual ~WeightsReader() = default;
  virtual const std::string& reader_name() const = 0;

  // Between reads: nothing is read until it is destroyed.
  class ReadingPause {
   public:
    virtual ~ReadingPause() = default;
    // What is read from now on are other weights.
    virtual void WeightsChanged() = 0;
  };
  // Waits for what is about to end; error `busy` where something under way needs the weights as they are.
  virtual std::unique_ptr<ReadingPause> PauseReading() = 0;
};

// Thread-safe: long operations on one model follow each other; observing never waits for them.
class Model {
 public:
  // Reserves addresses; nothing is resident yet. Error: checkpoint_invalid (CheckConfig).
  Model(std::shared_ptr<Device> device, const ModelConfig& config, DType dtype, std::string consumer,
        ModelHead head = ModelHead::kLanguage);

  const ModelConfig& config() const { return config_; }
  const WeightsLayout& layout() const { return layout_; }
  const std::string& consumer() const { return consumer_; }
  const std::shared_ptr<Device>& device() const { return device_; }
  RegionObservation Observe() const { return region()->Observe(); }

  // First byte of the weights, an address of the device, for the time that nobody can release them (the engine's business).
  // Errors: not_resident, contents_undefined.
  const std::byte* Weights() const { return static_cast<const std::byte*>(region()->Data()); }

  // Resumes if needed and fills the region. Refused without any change: everything PlanFromCheckpoint refuses,
  // out_of_memory, shared. A copy that fails or is cancelled midway cannot bring the old bytes back: the region is
  // released again if it was, otherwise its contents are undefined, and the error says so.
  Receipt Load(const std::vector<TensorSource>& sources, const Operation& operation);
  // The same from another model, of this device or another, casting or quantising as the two dtypes ask; through `bucket`,
  // which is as good as the source's memory, when it has a region. The receipt's method says how: copy, peer (from one GPU
  // to another), staged (through host memory) or bucketed. Errors besides: RefuseOtherModel's, not_resident and
  // contents_undefined (of the source), bad_argument (itself).
  Receipt CopyFrom(const Model& source, const Operation& operation, const Bucket& bucket = {});

  // The same from whatever `fill` knows, which gets the device's address; it returns the bytes written, and may throw to
  // stop.
  Receipt LoadFrom(const std::string& method, const std::function<uint64_t(std::byte* target)>& fill,
                   const Operation& operation);

  // Errors of Region, and `shared` while others read these bytes.
  Receipt Release(const ReleaseOptions& options, const Operation& operation);
  Receipt Resume(const Operation& operation);

  // Run `use` while nothing else may happen to the weights: no release, load or save. Update keeps those who share them
  // from reading (error `busy` when they cannot stop), then marks them as changed, also when `use` throws; as undefined when
  // that is HalfWritten.
  // Errors: not_resident, contents_undefined.
  void Read(const std::function<void(const std::byte* weights)>& use) const;
  void Update(const std::function<void(std::byte* weights)>& use);

  // Bytes of a Hugging Face tensor. Errors: not_found, not_resident, contents_undefined.
  std::vector<std::byte> ReadTensor(const std::string& name) const;
  // `header`, then the tensors back to back, written atomically (checkpoint_writer.h).
  void Save(const std::string& path, std::span<const std::byte> header, const std::vector<std::string>& names,
            const Operation& operation) const;

  // For lending to another process, which sees every load and update there as it happens.
  std::shared_ptr<Region> LendableRegion() const { return region(); }

  // Between the two, the region stays as it is: release, load and close are refused with `shared`.
  // BeginSharing errors: not_resident, contents_undefined.
  void BeginSharing(const std::shared_ptr<WeightsReader>& reader);
  void EndSharing(const WeightsReader& reader);
  // On the reading side: what observers see of this model's released region. Empty ends it.
  void ShowSharedWith(const std::string& consumer) { region()->SetSharedWith(consumer); }

  // Frees addresses, chunks and backups; later calls get bad_argument. Error: shared, which RefuseClosing says without
  // closing anything.
  void Close();
  void RefuseClosing() const;

 private:
  std::shared_ptr<Region> region() const;
  void RefuseWhileShared(const char* action) const;
  std::vector<std::unique_ptr<WeightsReader::ReadingPause>> PauseReaders() const;
  // Resumes if needed, runs `fill` on the region, and cleans up after a failure as Load promises. Returns the bytes committed.
  template <typename Fill>
  uint64_t Overwrite(const Operation& operation, const Fill& fill);

  const std::shared_ptr<Device> device_;
  const ModelConfig config_;
  const WeightsLayout layout_;
  const std::string consumer_;

  // One long operation at a time. Taken after a reader's own locks (it shares and copies while it holds them) and
  // before state_mutex_.
  mutable std::mutex operation_mutex_;
  mutable std::mutex state_mutex_;
  std::shared_ptr<Region> region_;
  // Weak, since a reader holds the model it reads. By address: a reader that is being destroyed ends its sharing too.
  struct Reader {
    const WeightsReader* address;
    std::weak_ptr<WeightsReader> reader;
    std::string name;
  };
  std::vector<Reader> readers_;
};

}  // namespace tideline
