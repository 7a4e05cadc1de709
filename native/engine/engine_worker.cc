// The engine's worker thread: plans a step, computes it without the lock, applies what came of it, and sees sequences
// out.
#include <algorithm>

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
  const uint64_t vocab = own_->config().vocab_size;
  RunToEnd(*compute_, [&] {
    transformer_->Run(weights, step.tokens);
    cache_->region().MarkWritten();
    for (size_t begin = 0; begin < step.wanted.size(); begin += workspace_->logit_rows()) {
      const size_t end = std::min<size_t>(step.wanted.size(), begin + workspace_->logit_rows());
      std::vector<uint32_t> rows;
      for (size_t index = begin; index < end; ++index) rows.push_back(step.wanted[index].row);
      const auto logits = transformer_->Logits(weights, rows);
      for (size_t index = begin; index < end; ++index) {
        LookAtRow(step.wanted[index], logits.subspan((index - begin) * vocab, vocab), chosen);
      }
    }
  });
  return chosen;
}

void Engine::LookAtRow(const WantedRow& wanted, std::span<const float> logits, std::vector<Chosen>& chosen) {
  Sequence& sequence = *wanted.sequence;
  try {
    if (sequence.scoring) {
      ScoreResult& result = sequence.scoring->result;
      const uint64_t next = wanted.position + 1;
      if (next < sequence.tokens.size()) {
        result.logprobs[wanted.position] = LogProb(logits, sequence.tokens[next]);
      } else {
        result.last_logits.assign(logits.begin(), logits.end());
        chosen.push_back({&sequence, std::nullopt, std::nullopt});
      }
      return;
    }
    const Choice choice =
        ChooseToken(logits, sequence.sampling, sequence.new_tokens(), workspace_->Probabilities());
    chosen.push_back({&sequence, choice, std::nullopt});
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
  event.error_code = error.code;
  event.error_message = error.what();
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
