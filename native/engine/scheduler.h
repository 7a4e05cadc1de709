// Which sequences wait, which run, and what goes into the next step. Knows nothing of threads: the engine calls it
// under its lock.
//
// Continuous batching without preemption: a sequence is admitted when blocks for the longest that it can become are
// free. Prompts are prefilled in chunks beside the sequences that decode, so a long prompt never stops the others.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "compute/batch.h"    // StepToken
#include "engine/kv_cache.h"  // KvCache
#include "engine/request.h"   // Sequence

namespace tideline {

struct SchedulerLimits {
  uint64_t max_batch;       // sequences running together
  uint64_t prefill_tokens;  // prompt tokens in one step
};

// A row of a step whose logits are wanted.
struct WantedRow {
  Sequence* sequence;
  uint32_t row;
  uint64_t position;
};

struct Step {
  std::vector<StepToken> tokens;
  std::vector<WantedRow> scored;     // each row of sequences that are scored
  std::vector<WantedRow> generated;  // the last row of those that generate
  std::vector<std::pair<Sequence*, uint64_t>> advanced;  // and by how many tokens
};

class Scheduler {
 public:
  Scheduler(KvCache& cache, SchedulerLimits limits) : cache_(cache), limits_(limits) {}

  using SequencePtr = std::unique_ptr<Sequence>;

  void Enqueue(SequencePtr sequence) { waiting_.push_back(std::move(sequence)); }
  uint64_t running() const { return running_.size(); }
  uint64_t waiting() const { return waiting_.size(); }
  bool empty() const { return running_.empty() && waiting_.empty(); }
  // Whether any sequence of a generation numbered below `number` is left.
  bool HasBefore(uint64_t number) const;

  // Admits in order of arrival, only generations numbered below `before`, then plans a step; empty when none can run.
  Step Plan(uint64_t before);

  // Takes out every sequence, running or waiting, that `leaves` says true to; their blocks are free then.
  template <typename Predicate>
  std::vector<SequencePtr> Remove(const Predicate& leaves) {
    std::vector<SequencePtr> removed;
    const auto sweep = [&](auto& sequences) {
      for (auto at = sequences.begin(); at != sequences.end();) {
        if (!leaves(**at)) {
          ++at;
          continue;
        }
        cache_.Give((*at)->blocks);
        removed.push_back(std::move(*at));
        at = sequences.erase(at);
      }
    };
    sweep(running_);
    sweep(waiting_);
    return removed;
  }

  // Back to the head of the queue with what they have generated; keys and values are computed anew when they run again.
  void Retract();

 private:
  void Admit(uint64_t before);

  KvCache& cache_;
  const SchedulerLimits limits_;
  std::deque<SequencePtr> waiting_;
  std::vector<SequencePtr> running_;
};

}  // namespace tideline
