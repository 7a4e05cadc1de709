// Trainer: computes with one model over whole sequences. It scores tokens, gives values, accumulates gradients of the
// PPO losses or of plain next-token prediction, and updates the weights. What it needs beside the weights lies in four
// regions (gradients, optimizer state, activations, logits), each sized before the work starts and released and brought
// back like any other; the last two may be shared with other trainers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "compute/compute.h"               // Compute
#include "engine/model.h"                  // Model
#include "memory/device.h"                 // Region, Receipt, Operation
#include "training/adamw.h"                // AdamWOptimizer
#include "training/heads.h"                // Heads
#include "training/trained_transformer.h"  // TrainedTransformer
#include "training/scratch.h"              // Scratch
#include "training/training_memory.h"      // TrainingMemory, TrainingLimits

namespace tideline {

enum class TrainerTag { kGradients, kOptimizer, kActivations, kLogits };

struct TrainerOptions {
  std::string prefix;  // of the consumers `<prefix>.gradients` and `<prefix>.optimizer`: policy, critic
  TrainingLimits limits;
  std::shared_ptr<Scratch> scratch;  // to share; nullptr: one of its own
};

// A whole sequence, prompt and response; `from` is where the response begins.
struct TrainingSequence {
  std::vector<uint32_t> ids;
  uint64_t from = 1;
};
// The losses are given per token of the response.
struct PolicySequence : TrainingSequence {
  std::vector<double> old_logprobs, advantages;
};
// Values are read at rows [from, from + returns.size()).
struct CriticSequence : TrainingSequence {
  std::vector<double> old_values, returns;
};

struct TokenScores {
  std::vector<float> logprobs, entropies;
};

struct PolicyLossOptions {
  double clip_range = 0.2;
  double entropy_coefficient = 0;  // of the entropy that is subtracted from the loss
  uint64_t loss_tokens = 0;        // the mean is over so many tokens; 0: those given
};
// Means over the given tokens; the loss over `loss_tokens`, so that the losses of several calls add up.
struct PolicyStatistics {
  double loss = 0, entropy = 0, clip_fraction = 0;
  double approximate_kl = 0;  // of the old policy from the new: mean of (ratio - 1) - log(ratio)
  uint64_t tokens = 0;
};
struct CriticLossOptions {
  double clip_range = 0.2;  // infinity: plain regression
  uint64_t loss_tokens = 0;
};
struct CriticStatistics {
  double loss = 0, clip_fraction = 0;
  uint64_t tokens = 0;
};
struct LanguageStatistics {
  double loss = 0;
  uint64_t tokens = 0;
};
struct UpdateReceipt {
  double gradient_norm = 0;  // before clipping
  double clip_coefficient = 1;
  uint64_t step = 0;
};

// Thread-safe: operations follow each other; observing never waits for them.
//
// Errors of everything that computes: not_resident, contents_undefined, bad_argument (with `field`), cancelled,
// not_finite (with `tensor`). A step that fails drops the gradients accumulated so far: there is no telling them apart
// from the failed one's. Weights and optimizer state change only in Update, and only when nothing is left that can fail.
class Trainer {
 public:
  // Reserves addresses only. Errors: bad_argument, also for a scratch that is too small or on another device; unsupported,
  // also where nothing computes on the model's device.
  Trainer(std::shared_ptr<Model> model, TrainerOptions options);

  // Per sequence, one number for each token from `from` (at least 1).
  std::vector<TokenScores> ScoreTokens(const std::vector<TrainingSequence>& sequences, const Operation& operation);
  // Per sequence, the value of each row from `from`. A reward model's score is that of the last row.
  std::vector<std::vector<float>> Values(const std::vector<TrainingSequence>& sequences, const Operation& operation);

  // Forward and backward; adds to the gradients, which start at zero after an Update.
  PolicyStatistics PolicyStep(const std::vector<PolicySequence>& sequences, const PolicyLossOptions& options,
                              const Operation& operation);
  CriticStatistics CriticStep(const std::vector<CriticSequence>& sequences, const CriticLossOptions& options,
                              const Operation& operation);
  // Mean cross-entropy of the tokens from `from`.
  LanguageStatistics LanguageStep(const std::vector<TrainingSequence>& sequences, uint64_t loss_tokens,
                                  const Operation& operation);

  // Drops what was accumulated: the next step begins at zero, as after an Update.
  void ZeroGradients();
  // Clips, and changes the weights. Error contents_undefined without gradients since the last update, or when the
  // optimizer's state was discarded.
  UpdateReceipt Update(const AdamWOptions& options);
  // Resumes the model if needed and casts the master weights into it, so that only one copy has to stay: the bits are
  // those of the last update. Error unsupported without master weights, contents_undefined before the first update.
  Receipt RestoreWeights(const Operation& operation);
  // Takes memory for the optimizer's state on the host, and none on the device. While it is there, Update passes it through
  // the activations' memory piece by piece: slower than on the device, and the same bits. Errors of Region::TakeOnHost.
  Receipt KeepOptimizerOnHost(const Operation& operation);
  // Forgets the optimizer's state; the next update is step 1. Needed after other weights were loaded.
  void ResetOptimizer();
  // As accumulated, before clipping; widened to float32.
  std::vector<float> ReadGradient(const std::string& name) const;

  // A scratch that is shared too: its regions are those of all who share it, and Close leaves it alone.
  std::vector<RegionObservation> Observe() const;
  Receipt Release(TrainerTag tag, const ReleaseOptions& options, const Operation& operation);
  Receipt Resume(TrainerTag tag, const Operation& operation);
  void Close();

 private:
  // What one sequence asks of the head: rows [begin, end).
  struct Job {
    std::span<const uint32_t> ids;
    RowRange rows;
  };
  using HeadWork = std::function<void(const Heads::Step& step, const HeadRows& chosen, uint64_t first_index)>;

  Job TokenJob(const TrainingSequence& sequence) const;
  Job ValueJob(const TrainingSequence& sequence, uint64_t count) const;
  void RequireHead(ModelHead head) const;
  // Error bad_argument once closed.
  Compute& RequireCompute() const;
  // Gradients and optimizer. Error unsupported for a trainer that only scores.
  Region& Require(TrainerTag tag) const;
  // Runs `work` for every micro-batch; `first_index` counts head rows over the whole call.
  void ForMicroBatches(const std::vector<Job>& jobs, bool train, const Operation& operation, const HeadWork& work);
  // Gradients of a loss over tokens; indices count over the whole call.
  void LearnTokens(const std::vector<Job>& jobs, const std::vector<uint32_t>& targets, const TokenLoss& loss,
                   const Operation& operation);
  std::byte* BeginAccumulation();
  void UpdateOnHostState(const AdamWOptions& options, const UpdateReceipt& receipt, const std::byte* gradients);
  // The weights are undefined already: so is the optimizer's state, and whoever asked is told of both.
  [[noreturn]] void GiveUpUpdate(const HalfWritten& error);

  const std::shared_ptr<Model> model_;
  const TrainerOptions options_;
  std::unique_ptr<Compute> compute_;  // none once closed: it holds threads, or a GPU's context
  const TrainingMemory memory_;
  const TrainedTransformer transformer_;
  const Heads heads_;
  const AdamWOptimizer optimizer_;

  mutable std::mutex operation_mutex_;  // taken before the scratch's and the model's
  std::shared_ptr<Scratch> scratch_;
  std::shared_ptr<Region> gradients_, optimizer_state_;
  enum class Accumulated { kNothing, kGradients, kApplied };
  Accumulated accumulated_ = Accumulated::kNothing;
  uint64_t step_ = 0;
};

}  // namespace tideline
