// Tokens per second of the engine on a GPU, for the shapes of real models with made-up weights, beside what the bandwidth of
// the card's memory allows: a step reads all weights but the embedding's other rows, and every sequence's keys and values.
//   card-generation [shape …]     0.5B and 7B unless named
// card-generation.sh builds and runs it, card-generation.py does the same with transformers.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>

#include "compute/cuda/cuda_stream.h"
#include "engine/engine.h"

namespace {

using namespace tideline;

constexpr uint64_t kPromptTokens = 128;
constexpr uint64_t kRounds = 3;
constexpr uint64_t kKvBytes = uint64_t{4} << 30;

uint64_t NewTokens() {
  const char* asked = std::getenv("BENCH_NEW_TOKENS");
  return asked ? std::strtoull(asked, nullptr, 10) : 129;
}

// For a look at one of them with a profiler.
uint64_t OnlyBatch() {
  const char* asked = std::getenv("BENCH_BATCH");
  return asked ? std::strtoull(asked, nullptr, 10) : 0;
}

ModelConfig Qwen25(uint64_t hidden, uint64_t intermediate, uint64_t layers, uint64_t heads, uint64_t kv_heads,
                   uint64_t vocabulary, bool tied) {
  ModelConfig config;
  config.hidden_size = hidden;
  config.intermediate_size = intermediate;
  config.layers = layers;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = hidden / heads;
  config.vocab_size = vocabulary;
  config.max_positions = 32768;
  config.tied_embeddings = tied;
  config.qkv_bias = true;
  config.rope.theta = 1e6;
  return config;
}

const std::map<std::string, ModelConfig> kShapes = {
    {"0.5B", Qwen25(896, 4864, 24, 14, 2, 151'936, true)},
    {"7B", Qwen25(3584, 18'944, 28, 28, 4, 152'064, false)},
    {"tiny", Qwen25(64, 96, 2, 4, 2, 300, true)},  // to try this program with, over a double of the driver
};

// One block of numbers again and again; its length is odd, so that no two rows are the same. Norms are ones.
void Fill(const WeightsLayout& layout, std::byte* target) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<uint16_t> block((1 << 22) - 3), ones(1 << 14, F32ToBF16(1));
  for (uint16_t& value : block) value = F32ToBF16(normal(random));
  CudaStream stream(0);
  const uint64_t bytes = layout.total_bytes();
  uint64_t filled = std::min<uint64_t>(bytes, block.size() * sizeof(uint16_t));
  stream.Upload(target, block.data(), filled);
  for (uint64_t copied = 0; filled < bytes; filled += copied) {
    copied = std::min(filled, bytes - filled);
    stream.Copy(target + filled, target, copied);
  }
  for (const TensorSlice& tensor : layout.tensors()) {
    if (tensor.name.ends_with("norm.weight")) stream.Upload(target + tensor.offset, ones.data(), tensor.bytes);
  }
  stream.Synchronize();
}

// Of a long copy within the card, which reads and writes.
double CopyGigabytesPerSecond(Device& device, const std::byte* source, uint64_t bytes) {
  const auto region = device.CreateRegion("workspace", "bandwidth", bytes);
  region->Resume();
  CudaStream stream(0);
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    stream.Synchronize();
    const auto started = std::chrono::steady_clock::now();
    stream.Copy(region->MutableData(), source, bytes);
    stream.Synchronize();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    best = std::max(best, 2.0 * bytes / took.count() / 1e9);
  }
  return best;
}

struct Times {
  double prefill_seconds = 0, decode_seconds = 0;
};

Times Generate(Engine& engine, uint64_t batch, uint64_t new_tokens, double temperature, uint64_t vocabulary) {
  std::vector<GenerateRequest> requests(batch);
  std::mt19937 random(7);
  for (GenerateRequest& request : requests) {
    for (uint64_t i = 0; i < kPromptTokens; ++i) request.prompt.push_back(random() % vocabulary);
    request.max_new_tokens = new_tokens;
    request.sampling.temperature = temperature;
    request.sampling.top_p = temperature > 0 ? 0.95 : 1;
    request.sampling.seed = random();
  }
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t finished = 0;
  // From the first token of all, when every prompt has been read, to the last of all.
  std::vector<double> first(batch, 0), last(batch, 0);
  const double started = NowSeconds();
  engine.Generate(requests, [&](std::vector<GenerationEvent> events) {
    const std::lock_guard lock(mutex);
    for (const GenerationEvent& event : events) {
      if (event.type == GenerationEvent::Type::kError) {
        std::fprintf(stderr, "%s: %s\n", event.error->code.c_str(), event.error->what());
        std::exit(1);
      }
      if (event.type == GenerationEvent::Type::kToken) {
        if (first[event.index] == 0) first[event.index] = event.time_seconds;
        last[event.index] = event.time_seconds;
      }
      if (event.type == GenerationEvent::Type::kFinished) ++finished;
    }
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return finished == batch; });
  const double all_first = *std::max_element(first.begin(), first.end());
  // Prompts that are read later leave the last tokens to fewer sequences: counted from the first token of all to the end of
  // whoever ended first.
  return {all_first - started, *std::min_element(last.begin(), last.end()) - all_first};
}

void Measure(const std::string& name, const ModelConfig& config) {
  const uint64_t kv_bytes_reserved = std::min(kKvBytes, 64 * 1024 * config.layers * config.kv_size() * 4);
  const auto device = OpenDevice("cuda:0", uint64_t{60} << 30, uint64_t{32} << 20);
  const auto model = std::make_shared<Model>(device, config, DType::kBF16, "engine.weights");
  model->LoadFrom("made up", [&](std::byte* target) {
    Fill(model->layout(), target);
    return model->layout().total_bytes();
  }, {});
  const double bandwidth = CopyGigabytesPerSecond(*device, model->Weights(), std::min(uint64_t{960} << 20, model->layout().total_bytes()));
  const uint64_t embedding_bytes = config.vocab_size * config.hidden_size * 2;
  const uint64_t weight_bytes = model->layout().total_bytes() - (config.tied_embeddings ? 0 : embedding_bytes);
  const auto engine = std::make_shared<Engine>(
      model, EngineOptions{.kv_cache_bytes = kv_bytes_reserved, .prefill_tokens = 2048, .kv_dtype = DType::kBF16});
  engine->Resume(EngineTag::kKvCache, {});
  engine->Resume(EngineTag::kWorkspace, {});
  const uint64_t new_tokens = NewTokens();
  std::printf("%s: %.3f GB of weights read per step, copy %.0f GB/s\n", name.c_str(), weight_bytes / 1e9, bandwidth);
  for (const double temperature : {0.0, 1.0}) {
    for (const uint64_t batch : {1, 4, 16, 64}) {
      if (OnlyBatch() != 0 ? OnlyBatch() != batch : temperature > 0 && batch == 4) continue;
      Generate(*engine, batch, 9, temperature, config.vocab_size);
      double prefill = 1e9, decode = 0, slowest = 1e9;
      for (uint64_t round = 0; round < kRounds; ++round) {
        const Times times = Generate(*engine, batch, new_tokens, temperature, config.vocab_size);
        prefill = std::min(prefill, times.prefill_seconds);
        // A sequence that was read later has fewer tokens by then than the others: steps are what is counted.
        const double steps = static_cast<double>(new_tokens - 1) - (batch * kPromptTokens - 1) / 2048;
        decode = std::max(decode, steps / times.decode_seconds);
        slowest = std::min(slowest, steps / times.decode_seconds);
      }
      const double kv_bytes = double(batch) * (kPromptTokens + new_tokens / 2.0) * engine->Observe().bytes_per_token;
      const double bound = bandwidth * 1e9 / (weight_bytes + kv_bytes);
      std::printf("%-5s %s batch %2llu: %8.1f tokens/s (%8.1f in the slowest round), step %7.3f ms, %.3f of the bound; "
                  "prompts in %.1f ms\n",
                  name.c_str(), temperature > 0 ? "sampled" : "greedy ", static_cast<unsigned long long>(batch), batch * decode,
                  batch * slowest, 1e3 / decode, decode / bound, prefill * 1e3);
      std::fflush(stdout);
    }
  }
  engine->Close();
}

}  // namespace

int main(int count, char** arguments) {
  try {
    for (int i = 1; i < count; ++i) Measure(arguments[i], kShapes.at(arguments[i]));
    if (count == 1) {
      for (const char* name : {"0.5B", "7B"}) Measure(name, kShapes.at(name));
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code.c_str(), error.what());
    return 1;
  }
}
