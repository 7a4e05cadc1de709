// What only generation asks for: layers with what lies around them, and choosing tokens.
#include <set>

#include "check.h"

namespace compute_check {

namespace {

// Sums of up to some hundred terms of about 1 / sqrt(terms), in another order than the host's.
constexpr double kTolerance = 1e-5;
// A log-prob, from float32 terms of a sum.
constexpr double kLogProbTolerance = 1e-6;

void CheckFused(DType dtype, uint64_t rows, uint64_t outputs, uint64_t inputs, bool with_bias) {
  Pair pair({.rows = 4 * rows, .context_tokens = 16, .sequences = rows, .block_tokens = 16, .widest_input = 4 * std::max(outputs, inputs), .threads = 1});
  const std::string what = std::string(DTypeName(dtype)) + ", " + std::to_string(rows) + " rows, " + std::to_string(outputs) +
                           " x " + std::to_string(inputs);
  const Bytes weights = Stored(Normals(2 * outputs * inputs, 1 / std::sqrt(float(inputs))), dtype);
  const Bytes bias = Stored(Normals(2 * outputs), dtype), of_norm = Stored(Normals(inputs), dtype);
  const NormWeights norm{of_norm.data(), dtype, inputs, 1e-6f};
  const LinearWeights one{weights.data(), nullptr, with_bias ? bias.data() : nullptr, dtype, outputs, inputs};
  LinearWeights two = one;
  two.outputs = 2 * outputs;
  const Floats x = OfTwoParts(rows * inputs, dtype);
  Floats normed(rows * inputs), gate_up(rows * 2 * outputs);
  for (const bool accumulate : {false, true}) {
    Same(pair, "forward of " + what, {Normals(rows * outputs)}, kTolerance, [&](Compute& compute, const auto& out) {
      compute.LinearForward(one, x.data(), out[0], rows, accumulate);
    });
  }
  // What is normed has all bits of float32, of which two 16-bit parts hold 16.
  const double narrowed = dtype != DType::kF32 && rows > 8 ? std::ldexp(inputs, -17) / std::sqrt(double(inputs)) : 0;
  Same(pair, "norm and layer of " + what, {Normals(rows * outputs)}, kTolerance + narrowed, [&](Compute& compute, const auto& out) {
    compute.NormLinearForward(norm, one, x.data(), normed.data(), out[0], rows);
  });
  Same(pair, "norm, layer and gate of " + what, {Normals(rows * outputs)}, kTolerance + 2 * narrowed,
       [&](Compute& compute, const auto& out) {
         compute.NormGatedForward(norm, two, x.data(), normed.data(), gate_up.data(), out[0], rows);
       });
}

void CheckStored(const HeadShape& shape, DType dtype, bool normed) {
  constexpr uint64_t kRows = 5, kBlock = 16;
  Pair pair({.rows = kRows, .context_tokens = 40, .sequences = kRows, .block_tokens = kBlock, .threads = 1});
  const std::vector<uint32_t> numbers{4, 0, 6, 2, 1, 5, 3, 7, 8, 9, 10, 11, 12, 13, 14};
  std::vector<StepToken> tokens;
  for (uint32_t row = 0; row < kRows; ++row) tokens.push_back({0, row * 7, numbers.data() + 3 * row});
  pair.host.compute.Begin(tokens);
  pair.gpu.compute.Begin(tokens);
  const uint64_t block_values = 2 * shape.kv_size() * kBlock;
  const Bytes of_q = Stored(Normals(shape.head_dim), dtype), of_k = Stored(Normals(shape.head_dim), dtype);
  const Floats cosine = Normals(kRows * shape.head_dim / 2), sine = Normals(kRows * shape.head_dim / 2);
  const RotaryArgs rotary{shape,
                          {normed ? of_q.data() : nullptr, dtype, shape.head_dim, 1e-6f},
                          {normed ? of_k.data() : nullptr, dtype, shape.head_dim, 1e-6f},
                          cosine.data(), sine.data()};
  const Floats qkv = Normals(kRows * shape.qkv_size());
  // The cache in float32, so that it is compared as numbers.
  Same(pair, "turning and storing, " + std::string(normed ? "normed, " : "") + std::to_string(shape.heads) + " heads",
       {qkv, Floats(numbers.size() * block_values)}, kTolerance, [&](Compute& compute, const auto& out) {
         compute.RotateAndStore(rotary, {reinterpret_cast<std::byte*>(out[1]), DType::kF32, block_values * 4, kBlock}, out[0]);
         // Keys and values mean nothing here any more.
         for (uint64_t row = 0; row < kRows; ++row) {
           compute.Finish();
           std::fill_n(out[0] + row * shape.qkv_size() + shape.q_size(), 2 * shape.kv_size(), 0.0f);
         }
       });
}

void CheckChoices(uint64_t vocabulary, float spread) {
  constexpr uint64_t kRows = 12;
  Pair pair({.rows = kRows, .sequences = kRows, .threads = 1});
  Floats logits = Normals(kRows * vocabulary, spread), scratch(vocabulary);
  // Ties, also of the largest, and what has no weight.
  for (uint64_t i = 0; i < logits.size(); i += 3) logits[i] = std::round(logits[i]);
  for (uint64_t i = 1; i < logits.size(); i += 17) logits[i] = -INFINITY;
  std::vector<Draw> draws;
  for (uint64_t row = 0; row < kRows; ++row) {
    const double temperature = row % 4 == 0 ? 0 : 0.4 * double(row % 4);
    draws.push_back({{.temperature = temperature,
                      .top_k = row % 3 == 1 ? 1 + row : 0,
                      .top_p = row % 2 == 1 ? 0.9 - 0.2 * double(row % 5) : 1.0,
                      .seed = row},
                     random_bits()});
  }
  const auto choose = [&](Compute& compute) {
    compute.BeginChoosing(draws);
    compute.ChooseTokens(logits.data(), vocabulary, scratch.data());
    const auto chosen = compute.Chosen();
    return std::vector<Choice>(chosen.begin(), chosen.end());
  };
  for (int again = 0; again < 4; ++again) {
    for (Draw& draw : draws) ++draw.step;
    const auto of_host = choose(pair.host.compute), of_gpu = choose(pair.gpu.compute);
    ++checks;
    for (uint64_t row = 0; row < kRows; ++row) {
      const bool same = of_host[row].token == of_gpu[row].token &&
                        std::abs(of_host[row].logprob - of_gpu[row].logprob) <= kLogProbTolerance * (1 + std::abs(of_host[row].logprob));
      if (same || ++failures > 20) continue;
      std::printf("FAIL choice of %llu tokens, row %llu: %u with %.9g, on the host %u with %.9g\n",
                  static_cast<unsigned long long>(vocabulary), static_cast<unsigned long long>(row), of_gpu[row].token,
                  of_gpu[row].logprob, of_host[row].token, of_host[row].logprob);
    }
  }
  // Damaged rows are said to be, and no others.
  logits[vocabulary / 2] = NAN;
  logits[vocabulary + vocabulary - 1] = INFINITY;
  std::fill_n(logits.data() + 2 * vocabulary, vocabulary, -INFINITY);
  const auto of_host = choose(pair.host.compute), of_gpu = choose(pair.gpu.compute);
  ++checks;
  for (uint64_t row = 0; row < kRows; ++row) {
    const bool none = row < 3;
    if ((of_gpu[row].token == Choice::kNoToken) == none && (of_host[row].token == Choice::kNoToken) == none) continue;
    if (++failures <= 20) std::printf("FAIL damaged logits, row %llu\n", static_cast<unsigned long long>(row));
  }
}

}  // namespace

void CheckGeneration() {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const uint64_t rows : {1, 2, 3, 8, 9, 40}) CheckFused(dtype, rows, 18, 96, true);
    CheckFused(dtype, 5, 7, 75, false);  // one by one
    CheckFused(dtype, 1, 7, 75, true);
  }
  CheckFused(DType::kBF16, 1, 5, 2056, true);  // a block per output
  CheckStored({4, 2, 64}, DType::kBF16, false);
  CheckStored({3, 3, 80}, DType::kF32, true);
  CheckStored({6, 1, 128}, DType::kF16, true);
  for (const float spread : {0.1f, 3.0f, 30.0f}) {
    CheckChoices(300, spread);
    CheckChoices(9000, spread);
  }
  CheckChoices(5, 1);
}

}  // namespace compute_check
