// Attention over the paged cache, and of whole sequences forward and backward.
#include <algorithm>
#include <numeric>

#include "check.h"

namespace compute_check {

namespace {

constexpr double kTolerance = 1e-5;
// Beside 16-bit weights a GPU rounds what it multiplies to 11 bits, and adds in float32; gradients are products of products.
constexpr double kRoundedTolerance = 2e-3, kRoundedGradientTolerance = 5e-3;

std::string Of(const HeadShape& shape) {
  return std::to_string(shape.heads) + "/" + std::to_string(shape.kv_heads) + " heads of " + std::to_string(shape.head_dim);
}

// Tokens [begin, end) of a sequence in this step; all before are in the cache.
struct Part {
  uint32_t begin, end;
};

void CheckPaged(const HeadShape& shape, DType dtype, uint64_t block_tokens, const std::vector<Part>& parts) {
  uint64_t rows = 0, context = 0;
  for (const Part& part : parts) rows += part.end - part.begin, context = std::max<uint64_t>(context, part.end);
  const uint64_t blocks_each = (context + block_tokens - 1) / block_tokens, blocks = blocks_each * parts.size() + 1;
  Pair pair({.rows = rows, .context_tokens = context, .sequences = parts.size(), .block_tokens = block_tokens, .threads = 1});
  // Blocks of the sequences lie anywhere.
  std::vector<uint32_t> numbers(blocks);
  std::iota(numbers.begin(), numbers.end(), 0u);
  std::shuffle(numbers.begin(), numbers.end(), random_bits);
  std::vector<StepToken> tokens;
  for (size_t sequence = 0; sequence < parts.size(); ++sequence) {
    for (uint32_t position = parts[sequence].begin; position < parts[sequence].end; ++position) {
      tokens.push_back({0, position, numbers.data() + sequence * blocks_each});
    }
  }
  const uint64_t block_values = 2 * shape.kv_size() * block_tokens;
  Bytes cached = Stored(Normals(blocks * block_values), dtype);
  const Floats qkv = Normals(rows * shape.qkv_size());
  const std::string what = "paged attention of " + Of(shape) + ", " + std::string(DTypeName(dtype)) + ", blocks of " +
                           std::to_string(block_tokens) + ", " + std::to_string(rows) + " rows";
  const auto layer = [&](std::byte* first) {
    return KvLayer{first, dtype, block_values * DTypeBytes(dtype), block_tokens};
  };
  pair.host.compute.Begin(tokens);
  pair.gpu.compute.Begin(tokens);
  SameBytes(pair, what + ": keys and values", cached,
            [&](Compute& compute, std::byte* cache) { compute.StoreKeysValues(layer(cache), shape, qkv.data()); });
  pair.host.compute.StoreKeysValues(layer(cached.data()), shape, qkv.data());
  Same(pair, what, {Floats(rows * shape.q_size())}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.PagedAttention(layer(cached.data()), shape, qkv.data(), out[0]);
  });
}

void CheckSequences(const HeadShape& shape, const std::vector<uint32_t>& lengths, DType dtype = DType::kF32) {
  const MicroBatch batch = BatchOf(lengths, 9);
  const uint64_t rows = batch.rows();
  Pair pair({.rows = rows, .sequence_tokens = *std::max_element(lengths.begin(), lengths.end()), .threads = 1});
  pair.host.compute.Begin(batch);
  pair.gpu.compute.Begin(batch);
  const Floats qkv = Normals(rows * shape.qkv_size()), d_output = Normals(rows * shape.q_size());
  const std::string what = "attention of " + Of(shape) + ", " + std::to_string(lengths.size()) + " sequences, " +
                           std::to_string(rows) + " rows, beside " + std::string(DTypeName(dtype));
  const bool rounds = dtype != DType::kF32;
  Floats output(rows * shape.q_size()), log_sums(rows * shape.heads);
  Same(pair, what, {output, log_sums}, rounds ? kRoundedTolerance : kTolerance, [&](Compute& compute, const auto& out) {
    compute.AttentionForward({shape, qkv.data(), out[0], out[1], dtype});
  });
  const SelfAttention attention{shape, qkv.data(), output.data(), log_sums.data(), dtype};
  pair.host.compute.AttentionForward(attention);
  const double gradient_tolerance = rounds ? kRoundedGradientTolerance : kTolerance;
  Same(pair, what + ", backward", {Normals(qkv.size())}, gradient_tolerance, [&](Compute& compute, const auto& out) {
    compute.AttentionBackward(attention, d_output.data(), out[0]);
  });
}

}  // namespace

void CheckAttention() {
  const std::vector<Part> mixed{{0, 1}, {40, 41}, {0, 19}, {7, 30}, {16, 17}};
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) CheckPaged({4, 2, 64}, dtype, 16, mixed);
  CheckPaged({7, 1, 80}, DType::kF32, 32, mixed);
  CheckPaged({3, 3, 128}, DType::kBF16, 16, {{0, 33}});
  CheckPaged({2, 1, 160}, DType::kF32, 48, {{60, 63}});
  CheckPaged({20, 1, 8}, DType::kF32, 16, {{0, 5}, {70, 71}});
  CheckPaged({4, 2, 12}, DType::kBF16, 16, {{0, 33}, {50, 51}});  // not in whole loads
  CheckPaged({6, 2, 200}, DType::kF16, 16, {{0, 3}, {90, 91}});
  CheckPaged({4, 2, 64}, DType::kF32, 16, {{700, 701}, {3, 4}});  // split among blocks, and some have nothing to do
  CheckSequences({1, 1, 8}, {1});
  CheckSequences({4, 2, 64}, {1, 65, 30, 128});
  CheckSequences({3, 1, 80}, {67, 40});
  CheckSequences({2, 2, 128}, {33, 70});
  CheckSequences({1, 1, 200}, {40});
  CheckSequences({2, 1, 10}, {100});
  CheckSequences({4, 2, 64}, {1, 65, 30, 128}, DType::kBF16);
  CheckSequences({7, 1, 64}, {70}, DType::kBF16);
  CheckSequences({3, 1, 80}, {67, 40}, DType::kF16);
  CheckSequences({2, 2, 128}, {33, 70}, DType::kBF16);
  CheckSequences({1, 1, 8}, {130}, DType::kBF16);
  CheckSequences({2, 1, 10}, {40}, DType::kBF16);  // for whom tensor cores' steps are too wide
}

}  // namespace compute_check
