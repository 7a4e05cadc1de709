#include "engine/engine.h"

#include <algorithm>

namespace tideline {
namespace {

EngineOptions Checked(const EngineOptions& options) {
  const auto check = [](const char* field, uint64_t value, uint64_t most) {
    if (value >= 1 && value <= most) return;
    throw Error("bad_argument", std::string(field) + " has to be between 1 and " + std::to_string(most)).WithField(field);
  };
  check("maxBatch", options.max_batch, 4096);
  check("prefillTokens", options.prefill_tokens, 1 << 16);
  if (options.threads != 0) check("threads", options.threads, 1024);
  return options;
}

}  // namespace

Engine::Engine(std::shared_ptr<Model> model, const EngineOptions& options)
    : own_(std::move(model)), options_(Checked(options)) {
  if (own_->consumer() != "engine.weights") {
    throw Error("bad_argument", "an engine needs a model of consumer engine.weights, not " + own_->consumer())
        .WithField("model");
  }
  if (own_->layout().head() != ModelHead::kLanguage) {
    throw Error("bad_argument", "an engine generates text, and this model has a value head instead of a language model's")
        .WithField("model");
  }
  if (own_->layout().dtype() == DType::kI8) {
    throw Error("unsupported", "an engine cannot generate with int8 weights: they are for models that only score",
                "make the model in float32, float16 or bfloat16")
        .WithField("dtype");
  }
  const ModelConfig& config = own_->config();
  Device& device = *own_->device();
  cache_ = std::make_unique<KvCache>(device, config, options_.kv_dtype, options_.kv_cache_bytes, options_.block_tokens);
  const uint64_t context_blocks = std::min(cache_->blocks(), cache_->BlocksFor(config.max_positions));
  const ComputeLimits limits{.rows = options_.prefill_tokens + options_.max_batch,
                             .context_tokens = context_blocks * options_.block_tokens,
                             .sequences = options_.max_batch,
                             .block_tokens = options_.block_tokens,
                             .widest_input = std::max({config.hidden_size, config.q_size(), config.intermediate_size}),
                             .weights = own_->layout().dtype(),
                             .threads = options_.threads};
  compute_ = MakeCompute(own_->device(), limits);
  workspace_ =
      std::make_unique<Workspace>(device, config, limits.rows, options_.max_batch, compute_->scratch_bytes());
  transformer_ = std::make_unique<Transformer>(config, own_->layout(), *cache_, *workspace_, *compute_);
  scheduler_ =
      std::make_unique<Scheduler>(*cache_, SchedulerLimits{options_.max_batch, options_.prefill_tokens});
  if (own_->Observe().contents == Contents::kDefined) weights_version_ = 1;
  worker_ = std::thread([this] { Loop(); });
}

Engine::~Engine() {
  Stop();
  try {
    own_->Close();
  } catch (const Error&) {
    // Another process has the weights mapped: they go when that ends.
  }
}

void Engine::RefuseWhenClosed() const {
  if (closed_) throw Error("bad_argument", "the engine is closed");
}

EngineObservation Engine::Observe() const {
  const std::lock_guard lock(mutex_);
  using Status = EngineObservation::Status;
  EngineObservation seen;
  seen.weights_version = weights_version_;
  seen.generated_tokens = generated_tokens_;
  if (closed_) {
    seen.status = Status::kClosed;
    return seen;
  }
  const bool swapping = exclusive_ == Exclusive::kSwap || drain_before_ != 0;
  seen.status = swapping              ? Status::kSwapping
                : paused_             ? Status::kPaused
                : scheduler_->empty() ? Status::kIdle
                                      : Status::kRunning;
  seen.running_requests = scheduler_->running();
  seen.waiting_requests = scheduler_->waiting();
  seen.block_tokens = cache_->block_tokens();
  seen.blocks = cache_->blocks();
  seen.used_blocks = cache_->used_blocks();
  seen.bytes_per_token = cache_->bytes_per_token();
  return seen;
}

std::shared_ptr<Model> Engine::Weights() const {
  const std::lock_guard lock(mutex_);
  RefuseWhenClosed();
  return shared_ ? shared_ : own_;
}

// ---------------------------------------------------------------------------------------------------------------------
// Requests

void Engine::CheckRequest(const std::vector<uint32_t>& prompt, uint64_t max_new_tokens) const {
  const ModelConfig& config = own_->config();
  if (prompt.empty()) throw Error("bad_argument", "the prompt is empty").WithField("promptIds");
  for (const uint32_t token : prompt) {
    if (token >= config.vocab_size) {
      throw Error("bad_argument", "token " + std::to_string(token) + " is not in the vocabulary of " +
                                      std::to_string(config.vocab_size) + " tokens")
          .WithField("promptIds");
    }
  }
  const std::string wanted = std::to_string(prompt.size()) + " prompt tokens and " + std::to_string(max_new_tokens) +
                             " new ones";
  // Compared without adding, which could overflow.
  if (prompt.size() > config.max_positions || max_new_tokens > config.max_positions - prompt.size()) {
    throw Error("context_overflow",
                wanted + " are more than the " + std::to_string(config.max_positions) + " positions of the model",
                "shorten the prompt or ask for fewer new tokens");
  }
  const uint64_t blocks = cache_->BlocksFor(prompt.size() + max_new_tokens);
  if (blocks > cache_->blocks()) {
    throw Error("kv_cache_too_small",
                wanted + " need " + std::to_string(blocks) + " blocks of the KV cache, which has " +
                    std::to_string(cache_->blocks()) + " (" + std::to_string(cache_->blocks() * cache_->block_tokens()) +
                    " tokens)",
                "open the engine with at least " +
                    std::to_string(blocks * cache_->block_tokens() * cache_->bytes_per_token()) + " bytes of KV cache");
  }
}

void Engine::CheckReady() const {
  const RegionObservation weights = own_->Observe();
  if (!shared_) {
    if (weights.residency != Residency::kResident) {
      throw Error("not_resident", "engine.weights are not on the device", "resume the weights, or swap new ones in");
    }
    if (weights.contents == Contents::kUndefined) {
      throw Error("contents_undefined", "engine.weights are undefined: they were never loaded, or discarded on release",
                  "swap weights in from a checkpoint or a model");
    }
  }
  if (cache_->region().Observe().residency != Residency::kResident) {
    throw Error("not_resident", "engine.kv_cache is not on the device", "resume the KV cache");
  }
  if (workspace_->region().Observe().residency != Residency::kResident) {
    throw Error("not_resident", "workspace is not on the device", "resume the workspace");
  }
}

uint64_t Engine::Generate(const std::vector<GenerateRequest>& requests, EventSink sink) {
  const std::lock_guard lock(mutex_);
  RefuseWhenClosed();
  if (requests.empty()) throw Error("bad_argument", "there are no requests").WithField("requests");
  for (const GenerateRequest& request : requests) {
    if (request.max_new_tokens == 0) {
      throw Error("bad_argument", "maxNewTokens has to be at least 1").WithField("maxNewTokens");
    }
    CheckRequest(request.prompt, request.max_new_tokens);
  }
  if (exclusive_ == Exclusive::kMemory) {
    throw Error("busy", "the engine's memory is being released or resumed", "wait until that is done");
  }
  // During a swap, requests queue for the new weights.
  if (exclusive_ != Exclusive::kSwap) CheckReady();

  auto generation = std::make_shared<Generation>();
  generation->number = next_generation_++;
  generation->unfinished = requests.size();
  generation->sink = std::move(sink);
  generations_[generation->number] = generation;
  for (uint32_t index = 0; index < requests.size(); ++index) {
    const GenerateRequest& request = requests[index];
    auto sequence = std::make_unique<Sequence>();
    sequence->generation = generation;
    sequence->index = index;
    sequence->tokens = request.prompt;
    sequence->tokens.reserve(request.prompt.size() + request.max_new_tokens);
    sequence->prompt_tokens = request.prompt.size();
    sequence->max_new_tokens = request.max_new_tokens;
    sequence->sampling = request.sampling;
    sequence->stop_tokens = request.stop_tokens;
    scheduler_->Enqueue(std::move(sequence));
  }
  changed_.notify_all();
  return generation->number;
}

std::future<ScoreResult> Engine::Score(const std::vector<uint32_t>& prompt) {
  const std::lock_guard lock(mutex_);
  RefuseWhenClosed();
  CheckRequest(prompt, 0);
  if (paused_) throw Error("busy", "the engine is paused", "continue it first");
  if (exclusive_ != Exclusive::kNone) throw Error("busy", "the engine's memory is being changed", "wait until that is done");
  CheckReady();

  auto generation = std::make_shared<Generation>();
  generation->number = next_generation_++;
  generation->unfinished = 1;
  generations_[generation->number] = generation;
  auto sequence = std::make_unique<Sequence>();
  sequence->generation = generation;
  sequence->tokens = prompt;
  sequence->prompt_tokens = prompt.size();
  sequence->scoring.emplace();
  sequence->scoring->result.logprobs.resize(prompt.size() - 1);
  auto future = sequence->scoring->promise.get_future();
  scheduler_->Enqueue(std::move(sequence));
  changed_.notify_all();
  return future;
}

void Engine::Cancel(uint64_t number) {
  const std::lock_guard lock(mutex_);
  RefuseWhenClosed();
  const auto found = generations_.find(number);
  if (found == generations_.end()) {
    throw Error("not_found", "there is no generation " + std::to_string(number) + ", or it has finished");
  }
  found->second->cancelled = true;
  if (!stepping_) ReapCancelled();  // otherwise the worker does, when the step is done
}

// ---------------------------------------------------------------------------------------------------------------------
// Pausing

void Engine::Pause(PauseMode mode) {
  std::unique_lock lock(mutex_);
  RefuseWhenClosed();
  paused_ = mode;
  changed_.wait(lock, [this] { return !stepping_ || closed_; });
  if (closed_ || paused_ != mode) return;  // closed or paused otherwise meanwhile
  if (mode == PauseMode::kRetract) scheduler_->Retract();
  if (mode == PauseMode::kAbort) {
    for (auto& sequence : scheduler_->Remove([](const Sequence&) { return true; })) {
      Finish(std::move(sequence), FinishReason::kAborted);
    }
    Deliver();
  }
  changed_.notify_all();
}

void Engine::Continue() {
  std::unique_lock lock(mutex_);
  RefuseWhenClosed();
  if (!paused_) throw Error("bad_argument", "the engine is not paused");
  // Let a memory operation finish before judging what is resident.
  changed_.wait(lock, [this] { return exclusive_ == Exclusive::kNone || closed_; });
  RefuseWhenClosed();
  if (!scheduler_->empty()) CheckReady();
  paused_.reset();
  changed_.notify_all();
}

// ---------------------------------------------------------------------------------------------------------------------
// Closing

void Engine::Close() {
  own_->RefuseClosing();
  Stop();
  own_->Close();
}

void Engine::Stop() {
  {
    std::unique_lock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !stepping_ && exclusive_ == Exclusive::kNone; });
    for (auto& sequence : scheduler_->Remove([](const Sequence&) { return true; })) {
      Finish(std::move(sequence), FinishReason::kAborted);
    }
    Deliver();
  }
  worker_.join();
  const std::lock_guard lock(mutex_);
  if (shared_) shared_->EndSharing(*this);
  shared_.reset();
  transformer_.reset();
  scheduler_.reset();
  workspace_.reset();
  cache_.reset();
  compute_.reset();
}

}  // namespace tideline
