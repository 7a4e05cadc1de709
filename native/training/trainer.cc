#include "training/trainer.h"

#include <algorithm>
#include <optional>

namespace tideline {
namespace {

TrainerOptions Resolved(TrainerOptions options, const ModelConfig& config) {
  options.limits = Resolved(options.limits, config);
  return options;
}

void RefuseSmallScratch(const Scratch& scratch, const Model& model, const TrainingBytes& bytes) {
  if (scratch.device() != model.device()) {
    throw Error("bad_argument", model.consumer() + " lies on another device than the scratch").WithField("scratch");
  }
  if (scratch.activations_bytes() >= bytes.activations && scratch.logits_bytes() >= bytes.logits) return;
  throw Error("bad_argument",
              "training or scoring with " + model.consumer() + " needs " + std::to_string(bytes.activations) +
                  " bytes of activations and " + std::to_string(bytes.logits) + " of logits, and the scratch has " +
                  std::to_string(scratch.activations_bytes()) + " and " + std::to_string(scratch.logits_bytes()),
              "make the scratch as large as the largest of trainingBytes")
      .WithField("scratch");
}

// Forward and backward passes through layers, counted in rows.
class Progress {
 public:
  Progress(const Operation& operation, uint64_t total) : operation_(operation), total_(total) {}
  void Step(uint64_t rows) { operation_.Step(done_ += rows, total_); }

 private:
  const Operation& operation_;
  const uint64_t total_;
  uint64_t done_ = 0;
};

}  // namespace

Trainer::Trainer(std::shared_ptr<Model> model, TrainerOptions options)
    : model_(std::move(model)),
      options_(Resolved(std::move(options), model_->config())),
      compute_(MakeCompute(model_->device(), ComputeLimitsOf(options_.limits, model_->config(), model_->layout().dtype(),
                                                             model_->layout().head()))),
      memory_(model_->config(), model_->layout().dtype(), model_->layout().head(), options_.limits,
              compute_->scratch_bytes()),
      transformer_(model_->config(), model_->layout(), options_.limits.checkpointing),
      heads_(model_->config(), model_->layout(), options_.limits.logit_rows),
      optimizer_(model_->layout(), memory_.gradient_layout(), memory_.optimizer_layout()) {
  Device& device = *model_->device();
  const TrainingBytes bytes = memory_.bytes();
  scratch_ = options_.scratch;
  if (!scratch_) scratch_ = std::make_shared<Scratch>(model_->device(), bytes.activations, bytes.logits);
  RefuseSmallScratch(*scratch_, *model_, bytes);
  if (!options_.limits.trainable) return;
  gradients_ = device.CreateRegion(options_.prefix + ".gradients", "gradients", bytes.gradients);
  optimizer_state_ = device.CreateRegion(options_.prefix + ".optimizer", "optimizer", bytes.optimizer);
}

// ---------------------------------------------------------------------------------------------------------------------
// Regions

namespace {

std::optional<ScratchTag> ScratchTagOf(TrainerTag tag) {
  if (tag == TrainerTag::kActivations) return ScratchTag::kActivations;
  if (tag == TrainerTag::kLogits) return ScratchTag::kLogits;
  return std::nullopt;
}

}  // namespace

Region& Trainer::Require(TrainerTag tag) const {
  const auto& region = tag == TrainerTag::kGradients ? gradients_ : optimizer_state_;
  if (!region) {
    throw Error("unsupported", model_->consumer() + " only scores: it has neither gradients nor an optimizer",
                "make its trainer with trainable set");
  }
  return *region;
}

std::vector<RegionObservation> Trainer::Observe() const {
  std::vector<RegionObservation> seen;
  for (const auto& region : {gradients_, optimizer_state_}) {
    if (region) seen.push_back(region->Observe());
  }
  for (RegionObservation& region : scratch_->Observe()) seen.push_back(std::move(region));
  return seen;
}

Receipt Trainer::Release(TrainerTag tag, const ReleaseOptions& options, const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  if (const auto scratch = ScratchTagOf(tag)) return scratch_->Release(*scratch, options, operation);
  return Require(tag).Release(options, operation);
}

Receipt Trainer::Resume(TrainerTag tag, const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  if (const auto scratch = ScratchTagOf(tag)) return scratch_->Resume(*scratch, operation);
  return Require(tag).Resume(operation);
}

void Trainer::Close() {
  const std::lock_guard lock(operation_mutex_);
  for (const auto& region : {gradients_, optimizer_state_}) {
    if (region) region->Close();
  }
  if (!options_.scratch) scratch_->Close();
  compute_.reset();
}

Compute& Trainer::RequireCompute() const {
  if (!compute_) throw Error("bad_argument", "the trainer of " + model_->consumer() + " is closed");
  return *compute_;
}

// ---------------------------------------------------------------------------------------------------------------------
// Sequences through the model

void Trainer::RequireHead(ModelHead head) const {
  if (model_->layout().head() == head) return;
  const bool language = head == ModelHead::kLanguage;
  throw Error("bad_argument", model_->consumer() + (language ? " has a value head, and scores no tokens"
                                                             : " has a language model's head, and gives no values"),
              "make the model with the other head");
}

Trainer::Job Trainer::TokenJob(const TrainingSequence& sequence) const {
  const uint64_t size = sequence.ids.size();
  if (sequence.from < 1 || sequence.from > size) {
    throw Error("bad_argument", "a sequence of " + std::to_string(size) + " tokens cannot be scored from token " +
                                    std::to_string(sequence.from) + ": the first has none before it")
        .WithField("from");
  }
  return {sequence.ids, {sequence.from - 1, size - 1}};
}

Trainer::Job Trainer::ValueJob(const TrainingSequence& sequence, uint64_t count) const {
  const uint64_t size = sequence.ids.size();
  if (sequence.from > size || count > size - sequence.from) {
    throw Error("bad_argument", "a sequence of " + std::to_string(size) + " tokens has no " + std::to_string(count) +
                                    " values from token " + std::to_string(sequence.from))
        .WithField("from");
  }
  return {sequence.ids, {sequence.from, sequence.from + count}};
}

void Trainer::ForMicroBatches(const std::vector<Job>& jobs, bool train, const Operation& operation,
                              const HeadWork& work) {
  const ModelConfig& config = model_->config();
  const TrainingLimits& limits = options_.limits;
  uint64_t total_rows = 0;
  for (const Job& job : jobs) {
    if (job.ids.empty() || job.ids.size() > limits.sequence_tokens) {
      throw Error("bad_argument", "a sequence of " + std::to_string(job.ids.size()) +
                                      " tokens: this trainer takes 1 to " + std::to_string(limits.sequence_tokens),
                  "make the trainer with a larger sequenceTokens")
          .WithField("ids");
    }
    for (const uint32_t id : job.ids) {
      if (id < config.vocab_size) continue;
      throw Error("bad_argument", "token " + std::to_string(id) + " is outside the vocabulary of " +
                                      std::to_string(config.vocab_size))
          .WithField("ids");
    }
    total_rows += job.ids.size();
  }
  const Scratch::Held held = scratch_->Hold();
  const ActivationBuffers activations = memory_.Activations(held.activations);
  const HeadBuffers head_buffers = memory_.Head(held.logits);
  Compute& compute = RequireCompute();
  compute.UseScratch(activations.scratch);

  const auto pass = [&](const std::byte* weights) {
    const ModelGradients gradients(memory_.gradient_layout(), train ? BeginAccumulation() : nullptr);
    const Heads::Step step{weights, activations, head_buffers, compute, gradients};
    Progress progress(operation, total_rows * config.layers * (train ? 2 : 1));
    uint64_t first_index = 0;
    for (size_t first = 0; first < jobs.size(); first += limits.micro_batch) {
      MicroBatch batch;
      HeadRows chosen;
      for (size_t index = first; index < std::min<size_t>(jobs.size(), first + limits.micro_batch); ++index) {
        const uint64_t begin = batch.rows();
        batch.Add(jobs[index].ids);
        heads_.Choose({begin + jobs[index].rows.begin, begin + jobs[index].rows.end}, chosen);
      }
      const auto after_layer = [&] { progress.Step(batch.rows()); };
      transformer_.Forward(weights, batch, activations, compute, train, after_layer);
      if (train) compute.Zero(activations.d_hidden, batch.rows() * config.hidden_size * sizeof(float));
      work(step, chosen, first_index);
      if (train) transformer_.Backward(weights, batch, activations, compute, gradients, after_layer);
      first_index += chosen.rows.size();
    }
  };
  model_->Read([&](const std::byte* weights) { RunToEnd(compute, [&] { pass(weights); }); });
}

std::byte* Trainer::BeginAccumulation() {
  auto* gradients = static_cast<std::byte*>(gradients_->MutableData());
  const bool undefined = gradients_->Observe().contents == Contents::kUndefined;
  if (undefined || accumulated_ != Accumulated::kGradients) RequireCompute().Zero(gradients, memory_.bytes().gradients);
  // From here to the end of the step they are neither the old sum nor the new one.
  accumulated_ = Accumulated::kNothing;
  gradients_->MarkWritten();
  return gradients;
}

std::vector<TokenScores> Trainer::ScoreTokens(const std::vector<TrainingSequence>& sequences,
                                              const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  RequireHead(ModelHead::kLanguage);
  std::vector<Job> jobs;
  std::vector<uint32_t> targets;
  for (const TrainingSequence& sequence : sequences) {
    jobs.push_back(TokenJob(sequence));
    targets.insert(targets.end(), sequence.ids.begin() + static_cast<ptrdiff_t>(sequence.from), sequence.ids.end());
  }
  std::vector<float> logprobs(targets.size()), entropies(targets.size());
  ForMicroBatches(jobs, false, operation, [&](const Heads::Step& step, const HeadRows& chosen, uint64_t first) {
    const uint64_t count = chosen.rows.size();
    heads_.Tokens(step, chosen, std::span(targets).subspan(first, count), std::span(logprobs).subspan(first, count),
                  std::span(entropies).subspan(first, count), nullptr);
  });
  std::vector<TokenScores> scores;
  ptrdiff_t begin = 0;
  for (const Job& job : jobs) {
    const ptrdiff_t end = begin + static_cast<ptrdiff_t>(job.rows.size());
    scores.push_back({{logprobs.begin() + begin, logprobs.begin() + end},
                      {entropies.begin() + begin, entropies.begin() + end}});
    begin = end;
  }
  return scores;
}

std::vector<std::vector<float>> Trainer::Values(const std::vector<TrainingSequence>& sequences,
                                                const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  RequireHead(ModelHead::kValue);
  std::vector<Job> jobs;
  uint64_t total = 0;
  for (const TrainingSequence& sequence : sequences) {
    jobs.push_back(ValueJob(sequence, sequence.ids.size() - std::min<uint64_t>(sequence.from, sequence.ids.size())));
    total += jobs.back().rows.size();
  }
  std::vector<float> all(total);
  ForMicroBatches(jobs, false, operation, [&](const Heads::Step& step, const HeadRows& chosen, uint64_t first) {
    heads_.Values(step, chosen, std::span(all).subspan(first, chosen.rows.size()), nullptr);
  });
  std::vector<std::vector<float>> values;
  ptrdiff_t begin = 0;
  for (const Job& job : jobs) {
    const ptrdiff_t end = begin + static_cast<ptrdiff_t>(job.rows.size());
    values.emplace_back(all.begin() + begin, all.begin() + end);
    begin = end;
  }
  return values;
}

}  // namespace tideline
