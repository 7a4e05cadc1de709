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
  SameGradients(pair, what + ", backward", {Floats(rows * size)}, {size}, kTolerance,
                [&](Compute& compute, const auto& out, const auto& gradients) {
                  compute.RowProductsBackward(weights, input.data(), slopes, gradients[0], out[0]);
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

constexpr DType kStates[] = {DType::kF32, DType::kBF16};

// A tensor of an optimizer's step, each part as it is stored.
struct Optimized {
  Bytes stored, gradients, first, second;
  Floats master;  // or empty

  AdamWTensor Tensor(uint64_t elements) {
    return {stored.data(), master.empty() ? nullptr : master.data(), gradients.data(), first.data(), second.data(), elements};
  }
  // The same numbers in float32 throughout; the masters are the parameters where there are such.
  Optimized InFloat32(const AdamWTypes& types) const {
    const auto widened = [](const Bytes& bytes, DType dtype) { return Stored(Widened(bytes, dtype), DType::kF32); };
    return {master.empty() ? widened(stored, types.stored) : Stored(master, DType::kF32), widened(gradients, types.gradients),
            widened(first, types.moments), widened(second, types.moments), {}};
  }
};

// A step in any types is the step in float32, rounded where it is stored.
void CheckStep(Pair& pair, const AdamWTypes& types, bool has_master) {
  constexpr AdamWScalars kScalars{0.5f, 0.9f, 0.95f, 1e-8f, 0.999f, 1e-2f, 1.3f};
  constexpr double kStepTolerance = 1e-6;
  for (const uint64_t size : {1, 300, 70001}) {
    Floats squares = Normals(size);
    for (float& value : squares) value *= value;
    const Optimized before{Stored(Normals(size), types.stored), Stored(Normals(size), types.gradients),
                           Stored(Normals(size), types.moments), Stored(squares, types.moments),
                           has_master ? Normals(size) : Floats()};
    Optimized expected = before.InFloat32(types);
    const AdamWTensor in_float32 = expected.Tensor(size);
    pair.host.compute.AdamW({&in_float32, 1}, {DType::kF32, DType::kF32, DType::kF32}, kScalars);
    for (Compute* compute : {static_cast<Compute*>(&pair.host.compute), static_cast<Compute*>(&pair.gpu.compute)}) {
      Optimized after = before;
      const AdamWTensor tensor = after.Tensor(size);
      compute->AdamW({&tensor, 1}, types, kScalars);
      compute->Finish();
      const std::string what = std::string("AdamW's ") + (compute == &pair.host.compute ? "host " : "") + "step of " +
                               std::string(DTypeName(types.stored)) + (has_master ? " with masters, " : ", ") +
                               std::string(DTypeName(types.gradients)) + " gradients";
      const auto same = [&](const char* part, const Bytes& got, DType dtype, const Bytes& wanted) {
        Rounded(what + ", " + part, Widened(got, dtype), Widened(wanted, DType::kF32), dtype, kStepTolerance);
      };
      same("parameters", after.stored, types.stored, expected.stored);
      same("means", after.first, types.moments, expected.first);
      same("means of squares", after.second, types.moments, expected.second);
      if (has_master) same("masters", Stored(after.master, DType::kF32), DType::kF32, expected.stored);
    }
  }
}

void CheckOptimizer(Pair& pair) {
  for (const DType stored : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const DType gradients : kStates) {
      for (const DType moments : kStates) {
        CheckStep(pair, {stored, gradients, moments}, false);
        if (stored != DType::kF32) CheckStep(pair, {stored, gradients, moments}, true);
      }
    }
  }
  for (const DType dtype : kStates) {
    const Bytes some = Stored(Normals(70001), dtype), few = Stored(Normals(3), dtype);
    const auto from = [&](uint64_t element) { return some.data() + element * DTypeBytes(dtype); };
    std::vector<NumberRange> ranges{{from(0), 70001}, {few.data(), 3}, {from(5), 1000}};
    for (uint64_t i = 0; i < 300; ++i) ranges.push_back({from(i), 2});
    const std::vector<double> expected = pair.host.compute.SumSquares(ranges, dtype);
    const std::vector<double> got = pair.gpu.compute.SumSquares(ranges, dtype);
    ++checks;
    for (size_t i = 0; i < ranges.size(); ++i) {
      double sum = 0;
      const auto* first = ranges[i].first;
      for (const float value : Widened({first, first + ranges[i].elements * DTypeBytes(dtype)}, dtype)) sum += double(value) * value;
      for (const double seen : {expected[i], got[i]}) {
        if (std::abs(sum - seen) > 1e-6 * sum && ++failures <= 20) {
          std::printf("FAIL sum of squares %zu is %.12g, and should be %.12g\n", i, seen, sum);
        }
      }
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
