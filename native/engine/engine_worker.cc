// The engine's worker thread: plans a step, computes it without the lock, applies what came of it, and sees sequences
// out.
#include <algorithm>

#include "compute/host/sampler.h"  // LogProb, NotNumbers
#include "engine/engine.h"

namespace tideline {
namespace {

constexpr uint64_t kNoLimit = ~uint64_t{0};

}  // namespace

bool Engine::CanStep() const {
  return !paused_ && exclusive_ == Exclusive::kNone && wanting_ == 0 && !scheduler_->empty() &&
         (drain_before_ == 0 || scheduler_->HasBefore(drain_before_));
}

void Engine::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closed_ || CanStep(); });
    if (closed_) return;
    ReapCancelled();
    Step step;
    const std::byte* weights = nullptr;
    try {
      CheckReady();
      weights = (shared_ ? shared_ : own_)->Weights();
      step = scheduler_->Plan(drain_before_ == 0 ? kNoLimit : drain_before_);
    } catch (const Error& error) {  // a swap failed and left no weights, say
      FailAll(error);
      continue;
    }
    if (step.tokens.empty()) continue;
    stepping_ = true;
    lock.unlock();
    std::vector<Chosen> chosen;
    std::optional<Error> failure;
    try {
      chosen = RunStep(step, weights);
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = Error("internal", std::string("a step failed: ") + error.what());
    }
    lock.lock();
    stepping_ = false;
    if (failure) {
      FailAll(*failure);
    } else {
      Apply(step, std::move(chosen));
    }
    ReapCancelled();
    Deliver();
    changed_.notify_all();
  }
}

std::vector<Engine::Chosen> Engine::RunStep(const Step& step, const std::byte* weights) {
  std::vector<Chosen> chosen;
  RunToEnd(*compute_, [&] {
    transformer_->Begin(step.tokens);
    cache_->region().MarkWritten();
    if (step.scored.empty() && step.generated.size() == step.tokens.size() &&
        step.tokens.size() <= workspace_->logit_rows()) {
      BeginChoosing(step.generated);
      transformer_->RunAndChoose(weights);
      TakeChoices(step.generated, chosen);
      return;
    }
    transformer_->Run(weights);
    ForLogits(weights, step.scored, [&](std::span<const WantedRow> wanted, const float* logits) {
      const uint64_t vocab = own_->config().vocab_size;
      const auto view = compute_->HostView(logits, wanted.size() * vocab);
      for (size_t row = 0; row < wanted.size(); ++row) LookAtRow(wanted[row], view.subspan(row * vocab, vocab), chosen);
    });
    ForLogits(weights, step.generated, [&](std::span<const WantedRow> wanted, const float* logits) {
      BeginChoosing(wanted);
      transformer_->Choose(logits);
      TakeChoices(wanted, chosen);
    });
  });
  return chosen;
}

// look(rows, their logits on the device) for as many rows at a time as there is room for.
template <typename Look>
void Engine::ForLogits(const std::byte* weights, std::span<const WantedRow> wanted, const Look& look) {
  while (!wanted.empty()) {
    const auto some = wanted.first(std::min<size_t>(wanted.size(), workspace_->logit_rows()));
    wanted = wanted.subspan(some.size());
    std::vector<uint32_t> rows;
    for (const WantedRow& row : some) rows.push_back(row.row);
    look(some, transformer_->Logits(weights, rows));
  }
}

void Engine::BeginChoosing(std::span<const WantedRow> wanted) {
  std::vector<Draw> draws;
  for (const WantedRow& row : wanted) draws.push_back({row.sequence->sampling, row.sequence->new_tokens()});
  compute_->BeginChoosing(draws);
}

void Engine::TakeChoices(std::span<const WantedRow> wanted, std::vector<Chosen>& chosen) {
  const std::span<const Choice> choices = compute_->Chosen();
  for (size_t row = 0; row < wanted.size(); ++row) {
    const bool none = choices[row].token == Choice::kNoToken;
    chosen.push_back({wanted[row].sequence, none ? std::nullopt : std::optional(choices[row]),
                      none ? std::optional(NotNumbers()) : std::nullopt});
  }
}

void Engine::LookAtRow(const WantedRow& wanted, std::span<const float> logits, std::vector<Chosen>& chosen) {
  Sequence& sequence = *wanted.sequence;
  try {
    ScoreResult& result = sequence.scoring->result;
    const uint64_t next = wanted.position + 1;
    if (next < sequence.tokens.size()) {
      result.logprobs[wanted.position] = LogProb(logits, sequence.tokens[next]);
    } else {
      result.last_logits.assign(logits.begin(), logits.end());
      chosen.push_back({&sequence, std::nullopt, std::nullopt});
    }
  } catch (const Error& error) {
    chosen.push_back({&sequence, std::nullopt, error});
  }
}

void Engine::Apply(const Step& step, std::vector<Chosen> chosen) {
  for (const auto& [sequence, count] : step.advanced) sequence->computed += count;
  const auto take = [&](const Sequence* leaving) {
    auto removed = scheduler_->Remove([leaving](const Sequence& sequence) { return &sequence == leaving; });
    return removed.empty() ? nullptr : std::move(removed.front());  // empty: it failed earlier in this step
  };
  for (const Chosen& one : chosen) {
    if (one.error) {
      if (auto sequence = take(one.sequence)) Fail(std::move(sequence), *one.error);
    } else if (!one.choice) {
      if (auto sequence = take(one.sequence)) FinishScored(std::move(sequence));
    } else {
      Sequence& sequence = *one.sequence;
      AcceptToken(sequence, *one.choice);
      const auto& stops = sequence.stop_tokens;
      const bool stop = std::find(stops.begin(), stops.end(), one.choice->token) != stops.end();
      if (stop || sequence.new_tokens() == sequence.max_new_tokens) {
        Finish(take(one.sequence), stop ? FinishReason::kStop : FinishReason::kLength);
      }
    }
  }
}

void Engine::AcceptToken(Sequence& sequence, const Choice& choice) {
  if (!sequence.since_first_token) {
    sequence.prefill_seconds = sequence.since_admitted->Seconds();
    sequence.since_first_token.emplace();
  }
  sequence.tokens.push_back(choice.token);
  ++generated_tokens_;
  GenerationEvent event;
  event.type = GenerationEvent::Type::kToken;
  event.index = sequence.index;
  event.token = choice.token;
  event.logprob = choice.logprob;
  event.time_seconds = NowSeconds();
  sequence.generation->outbox.push_back(std::move(event));
}

void Engine::ReapCancelled() {
  for (auto& sequence : scheduler_->Remove([](const Sequence& sequence) { return sequence.generation->cancelled; })) {
    Finish(std::move(sequence), FinishReason::kCancelled);
  }
  Deliver();
}

void Engine::FailAll(const Error& error) {
  for (auto& sequence : scheduler_->Remove([](const Sequence&) { return true; })) Fail(std::move(sequence), error);
  Deliver();
}

// ---------------------------------------------------------------------------------------------------------------------
// The end of a sequence

void Engine::Finish(std::unique_ptr<Sequence> sequence, FinishReason reason) {
  if (sequence->scoring) {
    return Fail(std::move(sequence), Error("cancelled", "scoring was stopped before it was done"));
  }
  GenerationEvent event;
  event.type = GenerationEvent::Type::kFinished;
  event.index = sequence->index;
  event.reason = reason;
  event.prompt_tokens = sequence->prompt_tokens;
  event.new_tokens = sequence->new_tokens();
  event.prefill_seconds = sequence->prefill_seconds;
  event.decode_seconds = sequence->since_first_token ? sequence->since_first_token->Seconds() : 0;
  sequence->generation->outbox.push_back(std::move(event));
  Forget(*sequence);
}

void Engine::FinishScored(std::unique_ptr<Sequence> sequence) {
  Forget(*sequence);
  sequence->scoring->promise.set_value(std::move(sequence->scoring->result));
}

void Engine::Fail(std::unique_ptr<Sequence> sequence, const Error& error) {
  if (sequence->scoring) {
    Forget(*sequence);
    sequence->scoring->promise.set_exception(std::make_exception_ptr(error));
    return;
  }
  GenerationEvent event;
  event.type = GenerationEvent::Type::kError;
  event.index = sequence->index;
  event.error = error;
  sequence->generation->outbox.push_back(std::move(event));
  Finish(std::move(sequence), FinishReason::kFailed);
}

void Engine::Forget(const Sequence& sequence) { --sequence.generation->unfinished; }

void Engine::Deliver() {
  for (auto at = generations_.begin(); at != generations_.end();) {
    Generation& generation = *at->second;
    if (!generation.outbox.empty()) {
      generation.sink(std::move(generation.outbox));
      generation.outbox.clear();
    }
    at = generation.unfinished == 0 ? generations_.erase(at) : std::next(at);
  }
}

}  // namespace tideline
