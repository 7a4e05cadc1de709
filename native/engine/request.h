// What goes into the engine and what comes out: requests, events, and a sequence, which is one request under way.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compute/sampling.h"  // Sampling
#include "memory/error.h"      // Error
#include "memory/stopwatch.h"  // Stopwatch

namespace tideline {

struct GenerateRequest {
  std::vector<uint32_t> prompt;
  uint64_t max_new_tokens = 0;
  Sampling sampling;
  std::vector<uint32_t> stop_tokens;
};

enum class FinishReason { kLength, kStop, kCancelled, kAborted, kFailed };

struct GenerationEvent {
  enum class Type { kToken, kFinished, kError };
  Type type = Type::kToken;
  uint32_t index = 0;  // the request's place in the call

  // kToken
  uint32_t token = 0;
  float logprob = 0;
  double time_seconds = 0;  // Unix

  // kFinished
  FinishReason reason = FinishReason::kLength;
  uint64_t prompt_tokens = 0, new_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;

  // kError
  std::optional<Error> error;
};

// Called on the engine's threads with its lock held: must not call the engine and must not wait.
using EventSink = std::function<void(std::vector<GenerationEvent>)>;

struct ScoreResult {
  std::vector<float> last_logits;  // (vocab)
  std::vector<float> logprobs;     // (prompt - 1): of each token given the ones before
};

// The requests of one call to Generate, or one call to Score.
struct Generation {
  uint64_t number = 0;
  uint64_t unfinished = 0;
  bool cancelled = false;
  EventSink sink;
  std::vector<GenerationEvent> outbox;  // collected during a step, delivered together
};

struct Sequence {
  std::shared_ptr<Generation> generation;
  uint32_t index = 0;
  std::vector<uint32_t> tokens;  // prompt, then what was generated
  uint64_t prompt_tokens = 0;
  uint64_t max_new_tokens = 0;
  Sampling sampling;
  std::vector<uint32_t> stop_tokens;

  // Set for Score: nothing is generated, every row's logits are looked at.
  struct Scoring {
    ScoreResult result;
    std::promise<ScoreResult> promise;
  };
  std::optional<Scoring> scoring;

  std::vector<uint32_t> blocks;
  uint64_t computed = 0;  // tokens whose keys and values are in the cache

  std::optional<Stopwatch> since_admitted, since_first_token;
  double prefill_seconds = 0;

  uint64_t new_tokens() const { return tokens.size() - prompt_tokens; }
  // Blocks are reserved for the longest that it can become, so nothing is ever preempted.
  uint64_t most_tokens() const { return prompt_tokens + max_new_tokens; }
};

}  // namespace tideline
