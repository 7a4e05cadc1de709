// The engine's memory verbs: release and resume by tag, and the hot swap. All of them run between two steps.
#include <chrono>

#include "engine/engine.h"
#include "engine/foreign_weights.h"  // OpenedWeights
#include "engine/same_model.h"       // RefuseOtherModel
#include "engine/weights_loader.h"   // PlanFromCheckpoint

namespace tideline {

namespace {

constexpr uint64_t kSmallestBucketBytes = 4096;

}  // namespace

// The engine to oneself: waits for the step under way, keeps the next from starting, and gives way on destruction.
class Engine::ExclusiveHold {
 public:
  // `lock` is held; `check` says whether the operation may go on, before waiting and again once it is its turn.
  template <typename Check>
  ExclusiveHold(Engine& engine, std::unique_lock<std::mutex>& lock, Exclusive kind, const Check& check)
      : engine_(engine), lock_(lock) {
    check();
    ++engine_.wanting_;
    engine_.changed_.wait(lock_, [&] {
      return engine_.closed_ || (!engine_.stepping_ && engine_.exclusive_ == Exclusive::kNone);
    });
    --engine_.wanting_;
    try {
      engine_.RefuseWhenClosed();
      check();
    } catch (...) {
      engine_.changed_.notify_all();
      throw;
    }
    engine_.exclusive_ = kind;
    lock_.unlock();
  }
  ~ExclusiveHold() {
    lock_.lock();
    engine_.exclusive_ = Exclusive::kNone;
    engine_.changed_.notify_all();
  }
  ExclusiveHold(const ExclusiveHold&) = delete;
  ExclusiveHold& operator=(const ExclusiveHold&) = delete;

 private:
  Engine& engine_;
  std::unique_lock<std::mutex>& lock_;
};

const char* Engine::NameOf(EngineTag tag) const {
  return tag == EngineTag::kWeights ? "engine.weights" : tag == EngineTag::kKvCache ? "engine.kv_cache" : "workspace";
}

Region& Engine::RegionOf(EngineTag tag) const {
  return tag == EngineTag::kKvCache ? cache_->region() : workspace_->region();
}

void Engine::RefuseReleaseWhenBusy(EngineTag tag, ReleaseMode mode) const {
  const std::string name = NameOf(tag);
  if (drain_before_ != 0) throw Error("busy", name + " cannot be released: a swap is under way", "wait until it is done");
  if (!paused_ && !scheduler_->empty()) {
    throw Error("busy",
                name + " cannot be released: " + std::to_string(scheduler_->running() + scheduler_->waiting()) +
                    " requests need it",
                "pause the engine first, or wait until the requests are done");
  }
  if (tag == EngineTag::kKvCache && scheduler_->running() > 0 && mode == ReleaseMode::kDiscard) {
    throw Error("busy",
                name + " holds " + std::to_string(cache_->used_blocks()) + " blocks of " +
                    std::to_string(scheduler_->running()) + " requests that are paused in place",
                "release with a backup (host or disk), or pause with retract, which computes them again");
  }
}

Receipt Engine::Release(EngineTag tag, const ReleaseOptions& options, const Operation& operation) {
  std::unique_lock lock(mutex_);
  const ExclusiveHold hold(*this, lock, Exclusive::kMemory, [&] {
    RefuseWhenClosed();
    RefuseReleaseWhenBusy(tag, options.mode);
    if (tag == EngineTag::kWeights && shared_) {
      throw Error("shared", "engine.weights are the bytes of " + shared_->consumer() + ", nothing of its own is resident",
                  "swap the engine to weights of its own first");
    }
  });
  if (tag == EngineTag::kWeights) return own_->Release(options, operation);
  return RegionOf(tag).Release(options, operation);
}

Receipt Engine::Resume(EngineTag tag, const Operation& operation) {
  std::unique_lock lock(mutex_);
  const ExclusiveHold hold(*this, lock, Exclusive::kMemory, [&] {
    RefuseWhenClosed();
    if (tag == EngineTag::kWeights && shared_) {
      throw Error("shared", "engine.weights are the bytes of " + shared_->consumer() + ": there is nothing to resume",
                  "swap with method copy to give the engine weights of its own");
    }
  });
  if (tag == EngineTag::kWeights) return own_->Resume(operation);
  Receipt receipt = RegionOf(tag).Resume(operation);
  if (tag == EngineTag::kWorkspace) workspace_->ShowUsed();
  return receipt;
}

// ---------------------------------------------------------------------------------------------------------------------
// Hot swap

Engine::SwapRoute Engine::CheckSwap(const SwapOptions& options) const {
  using Method = SwapOptions::Method;
  const WeightsLayout& ours = own_->layout();
  const NamedModel engine{own_->config(), ours, "the engine"};
  if (options.method == Method::kBucketed && options.bucket_bytes < kSmallestBucketBytes) {
    throw Error("bad_argument", "a bucket has at least " + std::to_string(kSmallestBucketBytes) + " bytes")
        .WithField("bucketBytes");
  }
  if (options.foreign) {
    if (options.method == Method::kShare || options.method == Method::kBucketed) {
      throw Error("bad_argument", "another process's weights are copied in one piece, whatever the method",
                  "use method auto or copy")
          .WithField("method");
    }
    CheckForeignWeights(ours, *own_->device(), *options.foreign);
    return SwapRoute::kForeign;
  }
  if (!options.model) {
    if (options.method == Method::kShare || options.method == Method::kBucketed) {
      throw Error("bad_argument",
                  std::string("a checkpoint on disk cannot be ") +
                      (options.method == Method::kShare ? "shared" : "streamed: it is read into the engine as it is"),
                  "use method auto or copy")
          .WithField("method");
    }
    RefuseOtherModel(engine, {options.checkpoint_config, WeightsLayout(options.checkpoint_config, ours.dtype()),
                              "the checkpoint"});
    PlanFromCheckpoint(ours, options.checkpoint_tensors);
    return SwapRoute::kCheckpoint;
  }
  const Model& source = *options.model;
  if (options.model == own_) throw Error("bad_argument", "these are the engine's own weights").WithField("source");
  RefuseOtherModel(engine, {source.config(), source.layout(), source.consumer()});
  source.Weights();  // not_resident, contents_undefined
  const bool same_bytes = source.layout().dtype() == ours.dtype();
  const bool same_device = source.device() == own_->device();
  if (options.method == Method::kShare && !same_device) {
    throw Error("unsupported",
                source.consumer() + " is on " + source.device()->name() + " and the engine on " + own_->device()->name() +
                    ": memory of another device cannot be read in place",
                "swap by copy, or put both on one device")
        .WithField("source");
  }
  if (options.method == Method::kShare && !same_bytes) {
    throw Error("weights_mismatch",
                source.consumer() + " is stored as " + std::string(DTypeName(source.layout().dtype())) +
                    " and the engine reads " + std::string(DTypeName(ours.dtype())) + ": the bytes cannot be shared",
                "use method copy, which casts")
        .WithField("dtype");
  }
  if (options.method == Method::kBucketed) return SwapRoute::kBucketed;
  return same_bytes && same_device && options.method != Method::kCopy ? SwapRoute::kShare : SwapRoute::kCopy;
}

uint64_t Engine::RequestsInTheWay() const {
  // A paused engine's queue waits for the new weights; what is paused in place holds keys and values of the old ones.
  return paused_ ? scheduler_->running() : scheduler_->running() + scheduler_->waiting();
}

void Engine::WaitForTurn(std::unique_lock<std::mutex>& lock, const SwapOptions& options, const Operation& operation) {
  if (drain_before_ != 0) throw Error("busy", "another swap is waiting for requests to finish", "wait until it is done");
  using Running = SwapOptions::Running;
  if (options.running == Running::kCancel) {
    for (auto& [number, generation] : generations_) generation->cancelled = true;
    if (!stepping_) ReapCancelled();
  }
  const uint64_t in_the_way = RequestsInTheWay();
  if (in_the_way > 0 && options.running == Running::kRefuse) {
    throw Error("busy", "engine.weights cannot be swapped: " + std::to_string(in_the_way) + " requests are under way",
                "wait, pause with retract or abort, or swap with finish or cancel");
  }
  if (paused_ && in_the_way > 0 && options.running == Running::kFinish) {
    throw Error("busy", "requests that are paused in place cannot finish", "continue first, or pause with retract");
  }
  if (paused_) return;
  drain_before_ = next_generation_;
  changed_.notify_all();
  // A cancellation has no way to notify: look at it now and then.
  while (!closed_ && scheduler_->HasBefore(drain_before_)) {
    changed_.wait_for(lock, std::chrono::milliseconds(20));
    if (operation.cancellation && operation.cancellation->cancelled()) {
      drain_before_ = 0;
      changed_.notify_all();
      operation.cancellation->Check();
    }
  }
}

Receipt Engine::Swap(const SwapOptions& options, const Operation& operation) {
  const Stopwatch watch;
  CheckSwap(options);
  std::unique_lock lock(mutex_);
  RefuseWhenClosed();
  WaitForTurn(lock, options, operation);

  Receipt receipt;
  {
    const ExclusiveHold hold(*this, lock, Exclusive::kSwap, [&] {
      drain_before_ = 0;  // done with: nobody steps once this thread wants the engine
      RefuseWhenClosed();
    });
    switch (CheckSwap(options)) {  // again: requests may have taken minutes to finish
      case SwapRoute::kShare:
        receipt = ShareWeights(options.model);
        break;
      case SwapRoute::kCopy:
        receipt = own_->CopyFrom(*options.model, operation);
        StopSharing();
        break;
      case SwapRoute::kBucketed:
        receipt = CopyThroughBucket(*options.model, options.bucket_bytes, operation);
        StopSharing();
        break;
      case SwapRoute::kForeign:
        receipt = CopyForeign(*options.foreign, operation);
        StopSharing();
        break;
      case SwapRoute::kCheckpoint:
        receipt = own_->Load(options.checkpoint_tensors, operation);
        StopSharing();
        break;
    }
  }
  ++weights_version_;
  receipt.action = "swap";
  receipt.milliseconds = watch.Milliseconds();
  return receipt;
}

Receipt Engine::CopyForeign(const ForeignWeights& source, const Operation& operation) {
  // Before anything of the engine's own changes.
  const OpenedWeights opened(own_->layout(), *own_->device(), source);
  return own_->LoadFrom("ipc", [&](std::byte* target) { return opened.CopyTo(target, operation); }, operation);
}

Receipt Engine::CopyThroughBucket(const Model& source, uint64_t bucket_bytes, const Operation& operation) {
  const uint64_t bytes = std::min(bucket_bytes, source.layout().total_bytes());
  const auto bucket = own_->device()->CreateRegion("workspace", "bucket", bytes);
  const uint64_t taken = bucket->Resume().bytes_committed;
  bucket->SetUsedBytes(bytes);
  Receipt receipt = own_->CopyFrom(source, operation, {bucket.get(), bytes});
  // It goes back to the device on the way out.
  receipt.bytes_committed += taken;
  receipt.bytes_freed += taken;
  return receipt;
}

Receipt Engine::ShareWeights(const std::shared_ptr<Model>& source) {
  source->BeginSharing(shared_from_this());
  Receipt receipt{.action = "swap", .consumer = own_->consumer(), .method = "share"};
  try {
    if (own_->Observe().residency != Residency::kReleased) {  // a backup of the old weights goes too
      const Receipt released = own_->Release(ReleaseOptions{}, {});
      receipt.bytes_freed = released.bytes_freed;
      receipt.bytes_retained = released.bytes_retained;
    }
  } catch (...) {
    source->EndSharing(*this);
    throw;
  }
  StopSharing();
  const std::lock_guard lock(mutex_);
  shared_ = source;
  own_->ShowSharedWith(source->consumer());
  return receipt;
}

class Engine::PausedReading : public WeightsReader::ReadingPause {
 public:
  explicit PausedReading(std::shared_ptr<Engine> engine)
      : engine_(std::move(engine)), lock_(engine_->mutex_), hold_(std::in_place, *engine_, lock_, Exclusive::kSwap, [this] {
          engine_->RefuseWhenClosed();
          const uint64_t in_the_way = engine_->RequestsInTheWay();
          if (in_the_way == 0 && engine_->drain_before_ == 0) return;
          throw Error("busy",
                      "the weights cannot change: " + std::to_string(in_the_way) +
                          " requests of the engine, which reads the same bytes, are under way",
                      "wait until they are done, or pause the engine with retract or abort");
        }) {}
  ~PausedReading() override {
    hold_.reset();  // takes the lock again
    if (changed_ && engine_->shared_) ++engine_->weights_version_;
  }
  void WeightsChanged() override { changed_ = true; }

 private:
  const std::shared_ptr<Engine> engine_;
  std::unique_lock<std::mutex> lock_;
  std::optional<ExclusiveHold> hold_;
  bool changed_ = false;
};

std::unique_ptr<WeightsReader::ReadingPause> Engine::PauseReading() {
  return std::make_unique<PausedReading>(shared_from_this());
}

void Engine::StopSharing() {
  const std::lock_guard lock(mutex_);
  if (shared_) shared_->EndSharing(*this);
  shared_.reset();
  own_->ShowSharedWith({});
}

}  // namespace tideline
