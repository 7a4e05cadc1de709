#include "engine/scheduler.h"

#include <algorithm>

namespace tideline {

bool Scheduler::HasBefore(uint64_t number) const {
  const auto before = [number](const SequencePtr& sequence) { return sequence->generation->number < number; };
  return std::any_of(running_.begin(), running_.end(), before) || std::any_of(waiting_.begin(), waiting_.end(), before);
}

void Scheduler::Admit(uint64_t before) {
  while (!waiting_.empty() && running_.size() < limits_.max_batch) {
    Sequence& next = *waiting_.front();
    // Numbers rise along the queue: nothing behind it may run either.
    if (next.generation->number >= before) return;
    next.blocks = cache_.Take(cache_.BlocksFor(next.most_tokens()));
    if (next.blocks.empty()) return;
    if (!next.since_admitted) next.since_admitted.emplace();
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

Step Scheduler::Plan(uint64_t before) {
  Admit(before);
  Step step;
  const auto add = [&](Sequence& sequence, uint64_t count) {
    for (uint64_t position = sequence.computed; position < sequence.computed + count; ++position) {
      const uint32_t row = static_cast<uint32_t>(step.tokens.size());
      step.tokens.push_back({sequence.tokens[position], static_cast<uint32_t>(position), sequence.blocks.data()});
      if (sequence.scoring) {
        step.scored.push_back({&sequence, row, position});
      } else if (position + 1 == sequence.tokens.size()) {
        step.generated.push_back({&sequence, row, position});
      }
    }
    step.advanced.emplace_back(&sequence, count);
  };
  // One token each for those that decode, then prompts with what the step has room for.
  for (const SequencePtr& sequence : running_) {
    if (sequence->tokens.size() - sequence->computed == 1) add(*sequence, 1);
  }
  uint64_t room = limits_.prefill_tokens;
  for (const SequencePtr& sequence : running_) {
    const uint64_t left = sequence->tokens.size() - sequence->computed;
    if (left <= 1 || room == 0) continue;
    const uint64_t chunk = std::min(left, room);
    add(*sequence, chunk);
    room -= chunk;
  }
  return step;
}

void Scheduler::Retract() {
  for (auto sequence = running_.rbegin(); sequence != running_.rend(); ++sequence) {
    cache_.Give((*sequence)->blocks);
    (*sequence)->computed = 0;
    waiting_.push_front(std::move(*sequence));
  }
  running_.clear();
}

}  // namespace tideline
