#include "engine/model.h"

#include <algorithm>

#include "checkpoint/checkpoint_writer.h"  // WriteCheckpoint
#include "engine/region_reader.h"          // RegionReader
#include "engine/same_model.h"             // RefuseOtherModel
#include "engine/weights_loader.h"         // PlanFromCheckpoint, CopyTensors
#include "memory/stopwatch.h"              // Stopwatch

namespace tideline {

Model::Model(std::shared_ptr<Device> device, const ModelConfig& config, DType dtype, std::string consumer,
             ModelHead head)
    : device_(std::move(device)), config_(config), layout_(config, dtype, head), consumer_(std::move(consumer)) {
  region_ = device_->CreateRegion(consumer_, "weights", layout_.total_bytes());
}

std::shared_ptr<Region> Model::region() const {
  const std::lock_guard lock(state_mutex_);
  if (!region_) throw Error("bad_argument", consumer_ + " is closed");
  return region_;
}

void Model::RefuseWhileShared(const char* action) const {
  const std::lock_guard lock(state_mutex_);
  if (readers_.empty()) return;
  const std::string& reader = readers_.front().name;
  throw Error("shared", consumer_ + " cannot " + action + ": " + reader + " reads its bytes",
              "swap " + reader + " to weights of its own first");
}

namespace {

const char* NameOf(CopyRoute route) {
  switch (route) {
    case CopyRoute::kDirect:
      return "copy";
    case CopyRoute::kPeer:
      return "peer";
    case CopyRoute::kStaged:
      return "staged";
  }
  return "";
}

// Loading is the way out when a backup is lost or damaged: it is given up then, since its bytes are not needed.
uint64_t ResumeToOverwrite(Region& region, const Operation& operation) {
  try {
    return region.Resume(operation).bytes_committed;
  } catch (const Error& error) {
    if (!error.code.starts_with("backup_")) throw;
  }
  region.Release(ReleaseOptions{});
  return region.Resume(operation).bytes_committed;
}

}  // namespace

template <typename Fill>
uint64_t Model::Overwrite(const Operation& operation, const Fill& fill) {
  const auto target = region();
  const Residency before = target->Observe().residency;
  uint64_t committed_bytes = 0;
  if (before != Residency::kResident) committed_bytes = ResumeToOverwrite(*target, operation);
  const bool give_back = before == Residency::kReleased;
  // Half-written bytes must never be read.
  const auto undo = [&] {
    if (give_back) {
      target->Release(ReleaseOptions{});
    } else {
      target->MarkUndefined();
    }
  };
  try {
    fill(*target);
  } catch (const Error& error) {
    undo();
    if (give_back || error.code == "device_lost") throw;
    const bool cancelled = error.code == "cancelled";
    throw Error(error.code,
                (cancelled ? "cancelled" : std::string(error.what())) + " while " + consumer_ +
                    " was being overwritten: its contents are undefined now",
                "load or swap weights again")
        .WithFile(error.file)
        .WithTensor(error.tensor);
  } catch (...) {
    undo();
    throw;
  }
  target->MarkWritten();
  target->SetUsedBytes(layout_.total_bytes());
  return committed_bytes;
}

Receipt Model::Load(const std::vector<TensorSource>& sources, const Operation& operation) {
  const Stopwatch watch;
  const std::lock_guard lock(operation_mutex_);
  RefuseWhileShared("load");
  const auto plan = PlanFromCheckpoint(layout_, sources);
  Receipt receipt{.action = "load", .consumer = consumer_, .method = "disk"};
  receipt.bytes_committed = Overwrite(operation, [&](Region& target) {
    receipt.bytes_copied = CopyTensors(plan, layout_, target, operation).bytes;
  });
  receipt.milliseconds = watch.Milliseconds();
  return receipt;
}

Receipt Model::CopyFrom(const Model& source, const Operation& operation, const Bucket& bucket) {
  const Stopwatch watch;
  if (&source == this) {
    throw Error("bad_argument", consumer_ + " cannot be copied from itself").WithField("source");
  }
  RefuseOtherModel({config_, layout_, consumer_}, {source.config_, source.layout_, source.consumer_});
  // The source's mutex keeps its bytes in place. Both at once: two models may be copied into each other.
  const std::scoped_lock lock(operation_mutex_, source.operation_mutex_);
  RefuseWhileShared("be overwritten");
  source.Weights();  // not_resident, contents_undefined
  const auto plan = PlanFromModel(layout_, source.layout_, source.region());
  Receipt receipt{.action = "load", .consumer = consumer_, .method = {}};
  receipt.bytes_committed = Overwrite(operation, [&](Region& target) {
    const Copied copied = CopyTensors(plan, layout_, target, operation, bucket);
    receipt.bytes_copied = copied.bytes;
    receipt.method = bucket.region == nullptr ? NameOf(copied.route) : "bucketed";
  });
  receipt.milliseconds = watch.Milliseconds();
  return receipt;
}

Receipt Model::LoadFrom(const std::string& method, const std::function<uint64_t(std::byte*)>& fill,
                        const Operation& operation) {
  const Stopwatch watch;
  const std::lock_guard lock(operation_mutex_);
  RefuseWhileShared("load");
  Receipt receipt{.action = "load", .consumer = consumer_, .method = method};
  receipt.bytes_committed = Overwrite(operation, [&](Region& target) {
    receipt.bytes_copied = fill(static_cast<std::byte*>(target.MutableData()));
  });
  receipt.milliseconds = watch.Milliseconds();
  return receipt;
}

Receipt Model::Release(const ReleaseOptions& options, const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  RefuseWhileShared("be released");
  return region()->Release(options, operation);
}

Receipt Model::Resume(const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  return region()->Resume(operation);
}

void Model::Read(const std::function<void(const std::byte*)>& use) const {
  const std::lock_guard lock(operation_mutex_);
  use(Weights());
}

std::vector<std::unique_ptr<WeightsReader::ReadingPause>> Model::PauseReaders() const {
  std::vector<std::shared_ptr<WeightsReader>> readers;
  {
    const std::lock_guard lock(state_mutex_);
    for (const Reader& one : readers_) {
      if (auto reader = one.reader.lock()) readers.push_back(std::move(reader));
    }
  }
  std::vector<std::unique_ptr<WeightsReader::ReadingPause>> pauses;
  for (const auto& reader : readers) pauses.push_back(reader->PauseReading());
  return pauses;
}

void Model::Update(const std::function<void(std::byte*)>& use) {
  const auto pauses = PauseReaders();
  const std::lock_guard lock(operation_mutex_);
  {
    const std::lock_guard state(state_mutex_);
    if (readers_.size() > pauses.size()) {  // between the two lines above; no other can come now
      throw Error("busy", consumer_ + " has just been shared with " + readers_.back().name, "try again");
    }
  }
  Weights();
  const auto target = region();
  const auto tell = [&] {
    for (const auto& pause : pauses) pause->WeightsChanged();
  };
  try {
    use(static_cast<std::byte*>(target->MutableData()));
  } catch (const HalfWritten&) {
    target->MarkUndefined();
    tell();
    throw;
  } catch (...) {
    target->MarkWritten();
    tell();
    throw;
  }
  target->MarkWritten();
  tell();
}

std::vector<std::byte> Model::ReadTensor(const std::string& name) const {
  const std::lock_guard lock(operation_mutex_);
  const TensorSlice* slice = layout_.Find(name);
  if (slice == nullptr) throw Error("not_found", consumer_ + " has no tensor " + name).WithTensor(name);
  Weights();  // not_resident, contents_undefined
  std::vector<std::byte> bytes(slice->bytes);
  region()->CopyOut(slice->offset, bytes.data(), bytes.size());
  return bytes;
}

void Model::Save(const std::string& path, std::span<const std::byte> header, const std::vector<std::string>& names,
                 const Operation& operation) const {
  const std::lock_guard lock(operation_mutex_);
  Weights();  // not_resident, contents_undefined
  const auto source = region();
  RegionReader reader(*source);
  std::vector<CheckpointPart> parts;
  for (const std::string& name : names) {
    const TensorSlice* slice = layout_.Find(name);
    if (slice == nullptr) throw Error("not_found", consumer_ + " has no tensor " + name).WithTensor(name);
    parts.push_back({slice->bytes, [&reader, first = slice->offset](uint64_t offset, uint64_t bytes) {
                       return reader.View(first + offset, bytes);
                     }});
  }
  WriteCheckpoint(path, header, parts, operation);
}

void Model::BeginSharing(const std::shared_ptr<WeightsReader>& reader) {
  const std::lock_guard operation(operation_mutex_);
  Weights();
  const std::lock_guard lock(state_mutex_);
  readers_.push_back({reader.get(), reader, reader->reader_name()});
}

void Model::EndSharing(const WeightsReader& reader) {
  const std::lock_guard lock(state_mutex_);
  const auto found =
      std::find_if(readers_.begin(), readers_.end(), [&](const Reader& one) { return one.address == &reader; });
  if (found != readers_.end()) readers_.erase(found);
}

void Model::RefuseClosing() const {
  RefuseWhileShared("be closed");
  std::shared_ptr<Region> open;
  {
    const std::lock_guard lock(state_mutex_);
    open = region_;
  }
  if (open) open->RefuseWhileLent("close");
}

void Model::Close() {
  const std::lock_guard operation(operation_mutex_);
  RefuseWhileShared("be closed");
  const std::lock_guard lock(state_mutex_);
  if (region_) region_->Close();
  region_.reset();
}

}  // namespace tideline
