// Heads, casts and the optimizer.
#include "check.h"

namespace compute_check {

namespace {

constexpr double kTolerance = 1e-5;

void CheckTokens(Pair& pair, uint64_t rows, uint32_t vocabulary) {
  const std::string what = std::to_string(rows) + " rows of " + std::to_string(vocabulary) + " logits";
  Floats logits = Normals(rows * vocabulary, 4);
  logits[vocabulary / 2] = 90;  // far above the rest
  const std::vector<uint32_t> targets = Below(rows, vocabulary);
  Floats log_sums(rows), entropies(rows);
  Same(pair, "statistics of " + what, {log_sums, Floats(rows), entropies}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.TokenStatistics(logits.data(), vocabulary, targets, {out[0], rows}, {out[1], rows}, {out[2], rows});
  });
  Floats logprobs(rows);
  pair.host.compute.TokenStatistics(logits.data(), vocabulary, targets, log_sums, logprobs, entropies);
  std::vector<TokenSlopes> slopes(rows);
  for (TokenSlopes& slope : slopes) slope = {Normals(1)[0], Normals(1)[0]};
  Same(pair, "gradient of " + what, {logits}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.TokenBackward(out[0], vocabulary, targets, log_sums, entropies, slopes);
  });
}

void CheckValues(Pair& pair, uint64_t rows, uint64_t size) {
  const Floats weight = Normals(size, 1 / std::sqrt(float(size))), input = Normals(rows * size), slopes = Normals(rows);
  const NormWeights weights{reinterpret_cast<const std::byte*>(weight.data()), DType::kF32, size, 0};
  const std::string what = "values of " + std::to_string(rows) + " x " + std::to_string(size);
  Same(pair, what, {Floats(rows)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.RowProducts(weights, input.data(), {out[0], rows}); });
  Same(pair, what + ", backward", {Normals(size), Floats(rows * size)}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.RowProductsBackward(weights, input.data(), slopes, out[0], out[1]);
  });
}

void CheckCasts(Pair& pair) {
  constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};
  // Ordinary numbers, then every kind of bits, also halfway between two bfloat16.
  Floats values = Normals(3000);
  for (size_t i = 1000; i < values.size(); ++i) {
    uint32_t bits = static_cast<uint32_t>(random_bits());
    if (i % 2) bits = (bits & 0xffff0000u) | 0x8000u;
    if ((bits & 0x7f800000u) == 0x7f800000u) continue;  // what a NaN's bits become is each processor's own
    std::memcpy(&values[i], &bits, sizeof bits);
  }
  for (const DType from : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) {
    const Bytes source = Stored(values, from);
    for (const DType to : kTypes) {
      if (from == DType::kI8 && to != DType::kF32) continue;
      SameBytes(pair, std::string(DTypeName(from)) + " as " + std::string(DTypeName(to)), Bytes(values.size() * DTypeBytes(to)),
                [&](Compute& compute, std::byte* target) {
                  const uint64_t half = values.size() / 2;
                  const ConvertPiece pieces[] = {{target, source.data(), half},
                                                 {target + half * DTypeBytes(to), source.data() + half * DTypeBytes(from),
                                                  values.size() - half}};
                  compute.Convert(pieces, to, from);
                });
    }
  }
}

void CheckMemory(Pair& pair) {
  const Floats source = Normals(333);
  Same(pair, "copies", {Floats(333), Normals(50), Floats(333), Floats(333)}, 0, [&](Compute& compute, const auto& out) {
    compute.Copy(out[0], source.data(), 333 * sizeof(float));
    compute.Zero(out[1], 50 * sizeof(float));
    compute.Download(std::as_writable_bytes(std::span(out[2], 333)), out[0]);
    const std::span<const float> seen = compute.HostView(out[0], 333);
    std::copy(seen.begin(), seen.end(), out[3]);
  });
}

void CheckOptimizer(Pair& pair) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const bool has_master : {false, true}) {
      if (has_master && dtype == DType::kF32) continue;
      const uint64_t sizes[] = {1, 300, 70001};
      std::vector<Floats> outputs;  // of each tensor: stored, master, first, second
      for (const uint64_t size : sizes) {
        const Floats parameters = Normals(size);
        const Bytes stored = Stored(parameters, dtype);
        Floats held((stored.size() + 3) / 4);
        std::memcpy(held.data(), stored.data(), stored.size());
        Floats second = Normals(size);
        for (float& value : second) value *= value;
        outputs.insert(outputs.end(), {held, parameters, Normals(size), second});
      }
      const std::vector<Floats> gradients{Normals(1), Normals(300), Normals(70001)};
      // Numbers of two bytes are compared as what they are, one rounding apart at most.
      const double tolerance = dtype == DType::kF32 ? 1e-6 : dtype == DType::kF16 ? 1.1e-3 : 8e-3;
      const auto step = [&](Compute& compute, const std::vector<float*>& out) {
        std::vector<AdamWTensor> tensors;
        for (size_t i = 0; i < std::size(sizes); ++i) {
          tensors.push_back({reinterpret_cast<std::byte*>(out[4 * i]), has_master ? out[4 * i + 1] : nullptr,
                             gradients[i].data(), out[4 * i + 2], out[4 * i + 3], sizes[i]});
        }
        compute.AdamW(tensors, dtype, {0.5f, 0.9f, 0.95f, 1e-8f, 0.999f, 1e-2f, 1.3f});
      };
      Same(pair, "AdamW's state, " + std::string(DTypeName(dtype)), {outputs.begin(), outputs.end()}, tolerance,
           [&](Compute& compute, const std::vector<float*>& out) {
             step(compute, out);
             compute.Finish();
             if (dtype == DType::kF32) return;
             for (size_t i = 0; i < std::size(sizes); ++i) {  // as float32, of as many as there is room for
               Floats widened(sizes[i] / 2);
               const ConvertPiece piece{widened.data(), out[4 * i], widened.size()};
               HostCompute({.threads = 1}).Convert({&piece, 1}, DType::kF32, dtype);
               std::copy(widened.begin(), widened.end(), out[4 * i]);
               if (sizes[i] % 2) out[4 * i][sizes[i] / 2] = 0;
             }
           });
    }
  }
  const Floats some = Normals(70001), few = Normals(3);
  std::vector<FloatRange> ranges{{some.data(), some.size()}, {few.data(), few.size()}, {some.data() + 5, 1000}};
  for (int i = 0; i < 300; ++i) ranges.push_back({some.data() + i, 2});
  const std::vector<double> expected = pair.host.compute.SumSquares(ranges), got = pair.gpu.compute.SumSquares(ranges);
  ++checks;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (std::abs(expected[i] - got[i]) > 1e-6 * expected[i] && ++failures <= 20) {
      std::printf("FAIL sum of squares %zu is %.12g, on the host %.12g\n", i, got[i], expected[i]);
    }
  }
}

}  // namespace

void CheckHeads() {
  Pair pair({.rows = 40, .sequence_tokens = 40, .threads = 1});
  CheckTokens(pair, 1, 5);
  CheckTokens(pair, 7, 1003);
  CheckTokens(pair, 33, 515);
  CheckValues(pair, 1, 8);
  CheckValues(pair, 40, 301);
  CheckCasts(pair);
  CheckMemory(pair);
  CheckOptimizer(pair);
}

}  // namespace compute_check
