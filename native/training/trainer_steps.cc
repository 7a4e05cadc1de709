// The half of Trainer that learns: losses into gradients, gradients into weights.
#include <algorithm>
#include <cmath>

#include "training/ppo.h"  // PolicyLossTerm, ValueLossTerm
#include "training/trainer.h"

namespace tideline {
namespace {

void CheckLength(const char* field, size_t given, size_t expected) {
  if (given == expected) return;
  throw Error("bad_argument", std::string(field) + " has " + std::to_string(given) + " numbers for a response of " +
                                  std::to_string(expected) + " tokens")
      .WithField(field);
}

void CheckFinite(const char* what, double value) {
  if (std::isfinite(value)) return;
  throw Error("not_finite", std::string("the ") + what + " is not a finite number; no weight was changed",
              "look at the rewards and at the last update of the weights")
      .WithTensor(what);
}

// What one token counts in a mean over `loss_tokens`, or over those given.
double WeightOf(uint64_t loss_tokens, size_t given) {
  return 1.0 / static_cast<double>(loss_tokens == 0 ? std::max<size_t>(1, given) : loss_tokens);
}

void RefuseWithoutTokens(size_t tokens) {
  if (tokens == 0) throw Error("bad_argument", "there is no token to learn from").WithField("sequences");
}

}  // namespace

void Trainer::LearnTokens(const std::vector<Job>& jobs, const std::vector<uint32_t>& targets, const TokenLoss& loss,
                          const Operation& operation) {
  RefuseWithoutTokens(targets.size());
  std::vector<float> logprobs(targets.size()), entropies(targets.size());
  ForMicroBatches(jobs, true, operation, [&](const Heads::Step& step, const HeadRows& chosen, uint64_t first) {
    const uint64_t count = chosen.rows.size();
    heads_.Tokens(step, chosen, std::span(targets).subspan(first, count), std::span(logprobs).subspan(first, count),
                  std::span(entropies).subspan(first, count),
                  [&](uint64_t index, float logprob, float entropy) { return loss(first + index, logprob, entropy); });
  });
}

PolicyStatistics Trainer::PolicyStep(const std::vector<PolicySequence>& sequences, const PolicyLossOptions& options,
                                     const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  RequireHead(ModelHead::kLanguage);
  Require(TrainerTag::kGradients);
  std::vector<Job> jobs;
  std::vector<uint32_t> targets;
  Row old_logprobs, advantages;
  for (const PolicySequence& sequence : sequences) {
    jobs.push_back(TokenJob(sequence));
    CheckLength("oldLogprobs", sequence.old_logprobs.size(), jobs.back().rows.size());
    CheckLength("advantages", sequence.advantages.size(), jobs.back().rows.size());
    targets.insert(targets.end(), sequence.ids.begin() + static_cast<ptrdiff_t>(sequence.from), sequence.ids.end());
    old_logprobs.insert(old_logprobs.end(), sequence.old_logprobs.begin(), sequence.old_logprobs.end());
    advantages.insert(advantages.end(), sequence.advantages.begin(), sequence.advantages.end());
  }
  const double weight = WeightOf(options.loss_tokens, targets.size());
  PolicyStatistics seen;
  seen.tokens = targets.size();
  LearnTokens(jobs, targets, [&](uint64_t index, float logprob, float entropy) -> TokenSlopes {
    const LossTerm term = PolicyLossTerm(logprob, old_logprobs[index], advantages[index], options.clip_range);
    const double change = logprob - old_logprobs[index];
    const double loss = (term.loss - options.entropy_coefficient * entropy) * weight;
    CheckFinite("policy loss", loss);
    seen.loss += loss;
    seen.entropy += entropy;
    seen.clip_fraction += term.clipped ? 1 : 0;
    seen.approximate_kl += std::expm1(change) - change;
    return {static_cast<float>(term.slope * weight), static_cast<float>(-options.entropy_coefficient * weight)};
  }, operation);
  accumulated_ = Accumulated::kGradients;
  const double tokens = static_cast<double>(seen.tokens);
  seen.entropy /= tokens;
  seen.clip_fraction /= tokens;
  seen.approximate_kl /= tokens;
  return seen;
}

LanguageStatistics Trainer::LanguageStep(const std::vector<TrainingSequence>& sequences, uint64_t loss_tokens,
                                         const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  RequireHead(ModelHead::kLanguage);
  Require(TrainerTag::kGradients);
  std::vector<Job> jobs;
  std::vector<uint32_t> targets;
  for (const TrainingSequence& sequence : sequences) {
    jobs.push_back(TokenJob(sequence));
    targets.insert(targets.end(), sequence.ids.begin() + static_cast<ptrdiff_t>(sequence.from), sequence.ids.end());
  }
  const double weight = WeightOf(loss_tokens, targets.size());
  LanguageStatistics seen;
  seen.tokens = targets.size();
  LearnTokens(jobs, targets, [&](uint64_t, float logprob, float) -> TokenSlopes {
    CheckFinite("language model loss", logprob);
    seen.loss -= logprob * weight;
    return {static_cast<float>(-weight), 0};
  }, operation);
  accumulated_ = Accumulated::kGradients;
  return seen;
}

CriticStatistics Trainer::CriticStep(const std::vector<CriticSequence>& sequences, const CriticLossOptions& options,
                                     const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  RequireHead(ModelHead::kValue);
  Require(TrainerTag::kGradients);
  std::vector<Job> jobs;
  Row old_values, returns;
  for (const CriticSequence& sequence : sequences) {
    jobs.push_back(ValueJob(sequence, sequence.returns.size()));
    CheckLength("oldValues", sequence.old_values.size(), sequence.returns.size());
    old_values.insert(old_values.end(), sequence.old_values.begin(), sequence.old_values.end());
    returns.insert(returns.end(), sequence.returns.begin(), sequence.returns.end());
  }
  RefuseWithoutTokens(returns.size());
  const double weight = WeightOf(options.loss_tokens, returns.size());
  CriticStatistics seen;
  seen.tokens = returns.size();
  std::vector<float> values(returns.size());
  ForMicroBatches(jobs, true, operation, [&](const Heads::Step& step, const HeadRows& chosen, uint64_t first) {
    heads_.Values(step, chosen, std::span(values).subspan(first, chosen.rows.size()), [&](uint64_t index, float value) {
      const LossTerm term = ValueLossTerm(value, old_values[first + index], returns[first + index], options.clip_range);
      CheckFinite("value loss", term.loss);
      seen.loss += term.loss * weight;
      seen.clip_fraction += term.clipped ? 1 : 0;
      return static_cast<float>(term.slope * weight);
    });
  });
  accumulated_ = Accumulated::kGradients;
  seen.clip_fraction /= static_cast<double>(seen.tokens);
  return seen;
}

void Trainer::ZeroGradients() {
  const std::lock_guard lock(operation_mutex_);
  Require(TrainerTag::kGradients);
  accumulated_ = Accumulated::kNothing;
}

UpdateReceipt Trainer::Update(const AdamWOptions& options) {
  const std::lock_guard lock(operation_mutex_);
  const auto* gradients = static_cast<const std::byte*>(Require(TrainerTag::kGradients).Data());
  if (accumulated_ != Accumulated::kGradients) {
    throw Error("contents_undefined", "there are no gradients of " + model_->consumer() + " to apply",
                "compute a step first: an update uses its gradients up, and a step that failed has dropped them");
  }
  const RegionObservation held = optimizer_state_->Observe();
  const bool on_host = held.residency == Residency::kHost;
  auto* state = on_host ? nullptr : static_cast<std::byte*>(optimizer_state_->MutableData());
  if (step_ > 0 && !on_host) optimizer_state_->Data();
  if (step_ > 0 && held.contents == Contents::kUndefined) {
    throw Error("contents_undefined", "the optimizer's state of " + model_->consumer() + " is lost",
                "begin anew: reset the optimizer");
  }
  Compute& compute = RequireCompute();
  UpdateReceipt receipt;
  receipt.gradient_norm = optimizer_.GradientNorm(compute, gradients);
  receipt.clip_coefficient = std::min(1.0, options.max_gradient_norm / (receipt.gradient_norm + 1e-6));
  receipt.step = step_ + 1;
  try {
    if (on_host) {
      UpdateOnHostState(options, receipt, gradients);
    } else {
      model_->Update([&](std::byte* weights) {
        RunToEnd(compute, [&] {
          if (step_ == 0) optimizer_.Initialise(compute, weights, state);
          optimizer_.Apply(compute, options, receipt.step, receipt.clip_coefficient, weights, gradients, state);
        });
      });
      optimizer_state_->MarkWritten();
    }
  } catch (const HalfWritten& error) {
    step_ = receipt.step;  // until it is reset: what is left of the state is no step's
    GiveUpUpdate(error);
  }
  accumulated_ = Accumulated::kApplied;
  step_ = receipt.step;
  return receipt;
}

void Trainer::GiveUpUpdate(const HalfWritten& error) {
  accumulated_ = Accumulated::kNothing;
  if (optimizer_state_->Observe().residency == Residency::kHost) {
    optimizer_state_->Release(ReleaseOptions{});
  } else {
    optimizer_state_->MarkUndefined();
  }
  if (error.code == "device_lost") throw error;
  throw Error(error.code,
              std::string(error.what()) + " while " + model_->consumer() +
                  " was updated: it and its optimizer's state are undefined now",
              "load the weights again and reset the optimizer");
}

// Nothing of the activations is needed any more: all of them but the Compute's scratch is what the state passes through.
void Trainer::UpdateOnHostState(const AdamWOptions& options, const UpdateReceipt& receipt, const std::byte* gradients) {
  const Scratch::Held held = scratch_->Hold();
  Compute& compute = RequireCompute();
  auto* first = static_cast<std::byte*>(held.activations);
  std::byte* scratch = memory_.Activations(first).scratch;
  compute.UseScratch(scratch);
  auto* state = static_cast<std::byte*>(optimizer_state_->HostData());
  model_->Update([&](std::byte* weights) {
    RunToEnd(compute, [&] {
      optimizer_.ApplyOnHostState(compute, options, receipt.step, receipt.clip_coefficient, weights, gradients, state,
                                  {first, scratch});
    });
  });
  optimizer_state_->MarkHostWritten();
}

Receipt Trainer::KeepOptimizerOnHost(const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  return Require(TrainerTag::kOptimizer).TakeOnHost(operation);
}

Receipt Trainer::RestoreWeights(const Operation& operation) {
  const std::lock_guard lock(operation_mutex_);
  Region& region = Require(TrainerTag::kOptimizer);
  if (!optimizer_.has_master()) {
    throw Error("unsupported", "the optimizer of " + model_->consumer() + " keeps no master weights",
                "make the trainer with masterWeights, for a model stored in fewer bits than float32");
  }
  const auto* state = static_cast<const std::byte*>(region.Data());
  if (step_ == 0) throw Error("contents_undefined", "there are no master weights before the first update");
  Compute& compute = RequireCompute();
  const auto cast = [&](std::byte* weights) {
    uint64_t written_bytes = 0;
    RunToEnd(compute, [&] { written_bytes = optimizer_.CastMaster(compute, state, weights); });
    return written_bytes;
  };
  return model_->LoadFrom("master", cast, operation);
}

void Trainer::ResetOptimizer() {
  const std::lock_guard lock(operation_mutex_);
  Require(TrainerTag::kOptimizer);
  step_ = 0;
}

std::vector<float> Trainer::ReadGradient(const std::string& name) const {
  const std::lock_guard lock(operation_mutex_);
  const auto* gradients = static_cast<const std::byte*>(Require(TrainerTag::kGradients).Data());
  if (accumulated_ == Accumulated::kNothing) {
    throw Error("contents_undefined", "there are no gradients of " + model_->consumer(), "compute a step first");
  }
  const TensorSlice* slice = memory_.gradient_layout().Find(name);
  if (slice == nullptr) throw Error("not_found", model_->consumer() + " has no tensor " + name).WithTensor(name);
  std::vector<float> values(slice->elements());
  if (slice->dtype == DType::kF32) {
    RequireCompute().Download(std::as_writable_bytes(std::span(values)), gradients + slice->offset);
    return values;
  }
  std::vector<uint16_t> stored(slice->elements());
  RequireCompute().Download(std::as_writable_bytes(std::span(stored)), gradients + slice->offset);
  std::ranges::transform(stored, values.begin(), BF16ToF32);
  return values;
}

}  // namespace tideline
