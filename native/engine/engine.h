// Engine: generation on one model, and the doors through which its memory is released, resumed and swapped.
//
// One worker thread steps the batch; every other call comes from elsewhere and either changes the queue under the lock
// or takes the engine exclusively, which means: between two steps, with no step allowed until it is done. Memory is
// only ever touched that way, so a release can never pull pages from under a running step.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "compute/compute.h"         // Compute
#include "engine/foreign_weights.h"  // ForeignWeights
#include "engine/kv_cache.h"         // KvCache
#include "engine/model.h"            // Model
#include "engine/request.h"          // GenerateRequest, EventSink, ScoreResult
#include "engine/scheduler.h"        // Scheduler
#include "engine/transformer.h"      // Transformer
#include "engine/workspace.h"        // Workspace

namespace tideline {

struct EngineOptions {
  uint64_t kv_cache_bytes = 0;
  uint64_t block_tokens = 16;
  uint64_t max_batch = 64;
  uint64_t prefill_tokens = 512;
  DType kv_dtype = DType::kF32;
  unsigned threads = 0;  // 0: all cores
};

enum class PauseMode { kAbort, kRetract, kInPlace };
enum class EngineTag { kWeights, kKvCache, kWorkspace };

struct EngineObservation {
  enum class Status { kIdle, kRunning, kPaused, kSwapping, kClosed };
  Status status = Status::kIdle;
  uint64_t running_requests = 0, waiting_requests = 0, weights_version = 0, generated_tokens = 0;
  uint64_t block_tokens = 0, blocks = 0, used_blocks = 0, bytes_per_token = 0;
};

struct SwapOptions {
  enum class Method { kAuto, kShare, kCopy, kBucketed };
  enum class Running { kRefuse, kFinish, kCancel };
  // Either a model on the same device, or another process's weights there, or a checkpoint: its config and its tensors.
  std::shared_ptr<Model> model;
  std::shared_ptr<const ForeignWeights> foreign;
  ModelConfig checkpoint_config;
  std::vector<TensorSource> checkpoint_tensors;
  Method method = Method::kAuto;
  uint64_t bucket_bytes = uint64_t{512} << 20;  // at most; for kBucketed
  Running running = Running::kRefuse;
};

// Made with make_shared: models whose bytes it shares know it.
class Engine : public WeightsReader, public std::enable_shared_from_this<Engine> {
 public:
  // Takes `model` over (consumer engine.weights) and reserves engine.kv_cache and workspace, both released.
  // Errors: bad_argument (options), kv_cache_too_small, unsupported (also where nothing computes on the model's device).
  Engine(std::shared_ptr<Model> model, const EngineOptions& options);
  ~Engine() override;

  EngineObservation Observe() const;

  // Checks and queues; events come to `sink`. Returns the generation's number. Errors: bad_argument, context_overflow,
  // kv_cache_too_small, not_resident, contents_undefined, busy (a memory operation is under way).
  uint64_t Generate(const std::vector<GenerateRequest>& requests, EventSink sink);
  // Errors as Generate, and busy while paused. The future fails with `cancelled` when the engine is aborted or closed.
  std::future<ScoreResult> Score(const std::vector<uint32_t>& prompt);
  // Error: not_found.
  void Cancel(uint64_t generation);

  // Returns once no step is running. Pausing again with another mode applies that mode.
  void Pause(PauseMode mode);
  // Errors: bad_argument when not paused; not_resident and contents_undefined when requests are there that could not run.
  void Continue();

  // Errors of Region, and: busy while requests need the tag (weights, workspace: running and not paused; kv_cache: live
  // blocks, unless paused in place with a mode that keeps the contents), shared for weights that are another model's.
  Receipt Release(EngineTag tag, const ReleaseOptions& options, const Operation& operation);
  Receipt Resume(EngineTag tag, const Operation& operation);

  // Hot swap. Everything is checked before anything changes: weights_mismatch (`tensor` or `field`), checkpoint_invalid,
  // checkpoint_unreadable, not_resident and contents_undefined (of the source), busy, out_of_memory. Requests that were
  // retracted by Pause go on with the new weights. A bucket is a region of consumer `workspace`, there for the length
  // of the swap.
  Receipt Swap(const SwapOptions& options, const Operation& operation);

  // For the model whose bytes the engine shares: refuses while requests are under way, except those retracted by Pause.
  // New requests wait, for the weights as they will be.
  const std::string& reader_name() const override { return own_->consumer(); }
  std::unique_ptr<ReadingPause> PauseReading() override;

  // The weights in use: the engine's own or the shared ones.
  std::shared_ptr<Model> Weights() const;

  // Aborts what runs, frees all memory. Later calls get bad_argument; closing twice does nothing. Error: shared, while
  // another process has the weights mapped.
  void Close();
  // All of Close but the weights, which destruction closes, or leaves to who has them mapped. Never refused.
  void Stop();

 private:
  enum class Exclusive { kNone, kMemory, kSwap };
  class ExclusiveHold;
  class PausedReading;

  // All below `mutex_` unless said otherwise.
  void RefuseWhenClosed() const;
  void CheckRequest(const std::vector<uint32_t>& prompt, uint64_t max_new_tokens) const;
  void CheckReady() const;
  void RefuseReleaseWhenBusy(EngineTag tag, ReleaseMode mode) const;
  const char* NameOf(EngineTag tag) const;
  Region& RegionOf(EngineTag tag) const;

  // The worker, in engine_worker.cc.
  void Loop();
  bool CanStep() const;
  // Without the lock: computes the step and chooses tokens.
  struct Chosen {
    Sequence* sequence;
    std::optional<Choice> choice;
    std::optional<Error> error;
  };
  std::vector<Chosen> RunStep(const Step& step, const std::byte* weights);
  template <typename Look>
  void ForLogits(const std::byte* weights, std::span<const WantedRow> wanted, const Look& look);
  void BeginChoosing(std::span<const WantedRow> wanted);
  void TakeChoices(std::span<const WantedRow> wanted, std::vector<Chosen>& chosen);
  // Of a sequence that is scored.
  void LookAtRow(const WantedRow& wanted, std::span<const float> logits, std::vector<Chosen>& chosen);
  void Apply(const Step& step, std::vector<Chosen> chosen);
  void AcceptToken(Sequence& sequence, const Choice& choice);
  void FailAll(const Error& error);
  void ReapCancelled();

  // Takes sequences out for good, with a last event or a failed promise.
  void Finish(std::unique_ptr<Sequence> sequence, FinishReason reason);
  void FinishScored(std::unique_ptr<Sequence> sequence);
  void Fail(std::unique_ptr<Sequence> sequence, const Error& error);
  void Forget(const Sequence& sequence);
  void Deliver();

  // Memory and swap are in engine_memory.cc.
  enum class SwapRoute { kShare, kCopy, kBucketed, kForeign, kCheckpoint };
  SwapRoute CheckSwap(const SwapOptions& options) const;  // needs no lock
  void WaitForTurn(std::unique_lock<std::mutex>& lock, const SwapOptions& options, const Operation& operation);
  // Requests that new weights may not be given to.
  uint64_t RequestsInTheWay() const;
  Receipt CopyForeign(const ForeignWeights& source, const Operation& operation);
  Receipt CopyThroughBucket(const Model& source, uint64_t bucket_bytes, const Operation& operation);
  Receipt ShareWeights(const std::shared_ptr<Model>& source);
  void StopSharing();

  const std::shared_ptr<Model> own_;
  const EngineOptions options_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Compute> compute_;
  std::unique_ptr<Workspace> workspace_;
  std::unique_ptr<Transformer> transformer_;
  std::unique_ptr<Scheduler> scheduler_;

  std::shared_ptr<Model> shared_;  // set while the engine reads another model's bytes
  std::map<uint64_t, std::shared_ptr<Generation>> generations_;
  std::optional<PauseMode> paused_;
  Exclusive exclusive_ = Exclusive::kNone;
  int wanting_ = 0;            // threads that wait between steps: the worker lets them in
  uint64_t drain_before_ = 0;  // a swap waits for generations below this number; 0: none does
  bool stepping_ = false;
  bool closed_ = false;
  uint64_t next_generation_ = 1;
  uint64_t weights_version_ = 0;
  uint64_t generated_tokens_ = 0;
  std::thread worker_;
};

}  // namespace tideline
