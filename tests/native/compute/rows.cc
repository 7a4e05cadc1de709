// Calls that go through rows: embedding, angles, norms, activation, rotation, sums down columns.
#include "check.h"

namespace compute_check {

namespace {

constexpr double kTolerance = 1e-5;

void CheckEmbedding(Pair& pair, DType dtype, uint64_t hidden) {
  constexpr uint32_t kVocabulary = 23;
  const std::string what = "embedding of " + std::string(DTypeName(dtype)) + ", hidden " + std::to_string(hidden);
  const MicroBatch batch = BatchOf({7, 1, 30}, kVocabulary);
  pair.host.compute.Begin(batch);
  pair.gpu.compute.Begin(batch);
  const Bytes table = Stored(Normals(kVocabulary * hidden), dtype);
  const Floats scales = Normals(kVocabulary, 0.01f);
  const EmbeddingWeights weights{table.data(), dtype == DType::kI8 ? scales.data() : nullptr, dtype, hidden};
  Same(pair, what, {Floats(batch.rows() * hidden)}, 0, [&](Compute& compute, const auto& out) { compute.Embed(weights, out[0]); });
  const Floats d_hidden = Normals(batch.rows() * hidden);
  SameGradients(pair, what + ", backward", {}, {kVocabulary * hidden}, kTolerance,
                [&](Compute& compute, const auto&, const auto& gradients) {
                  compute.EmbedBackward(d_hidden.data(), hidden, gradients[0]);
                });
}

void CheckAngles(Pair& pair) {
  constexpr uint64_t kHalf = 20;
  MicroBatch batch = BatchOf({7, 33}, 9);
  batch.positions[3] = 131071;  // a long way round
  pair.host.compute.Begin(batch);
  pair.gpu.compute.Begin(batch);
  std::vector<double> frequencies(kHalf);
  for (size_t i = 0; i < kHalf; ++i) frequencies[i] = std::pow(1e4, -double(i) / kHalf);
  Same(pair, "angles", {Floats(batch.rows() * kHalf), Floats(batch.rows() * kHalf)}, 1e-7,
       [&](Compute& compute, const auto& out) { compute.Angles(frequencies, out[0], out[1]); });
}

void CheckNorms(Pair& pair, DType dtype, uint64_t rows, uint64_t size) {
  const std::string what = "norm of " + std::to_string(rows) + " x " + std::to_string(size) + " " + std::string(DTypeName(dtype));
  const Bytes weight = Stored(Normals(size), dtype);
  const NormWeights norm{weight.data(), dtype, size, 1e-6f};
  const Floats input = Normals(rows * size), d_output = Normals(rows * size);
  Same(pair, what, {Floats(rows * size)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.NormForward(norm, input.data(), out[0], rows); });
  Same(pair, what + " in place", {input}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.NormForward(norm, out[0], out[0], rows); });
  std::vector<RowRange> pieces;
  AppendPieces({0, rows}, 5, pieces);
  std::vector<uint32_t> targets(rows);
  for (uint32_t row = 0; row < rows; ++row) targets[row] = 2 * static_cast<uint32_t>(rows - row) - 1;
  for (const bool elsewhere : {false, true}) {
    SameGradients(pair, what + (elsewhere ? ", backward to other rows" : ", backward"),
         {Normals((elsewhere ? 2 : 1) * rows * size), Floats(rows)}, {size}, kTolerance * std::sqrt(double(rows)),
         [&](Compute& compute, const auto& out, const auto& gradients) {
           compute.NormBackward(norm, {.input = input.data(),
                                       .d_output = d_output.data(),
                                       .d_input = out[0],
                                       .target_rows = elsewhere ? std::span<const uint32_t>(targets) : std::span<const uint32_t>(),
                                       .inverse_rms = out[1],
                                       .d_weight = gradients[0],
                                       .rows = rows,
                                       .pieces = pieces});
         });
  }
}

void CheckActivation(Pair& pair, uint64_t rows, uint64_t size) {
  const std::string what = "activation of " + std::to_string(rows) + " x " + std::to_string(size);
  const Floats gate_up = Normals(rows * 2 * size, 3), d_output = Normals(rows * size);
  Same(pair, what, {Floats(rows * size)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.SiluMultiply(gate_up.data(), out[0], rows, size); });
  Same(pair, what + ", backward", {Floats(rows * 2 * size)}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.SiluMultiplyBackward(gate_up.data(), d_output.data(), out[0], rows, size);
  });
  Same(pair, what + ", backward, in place", {gate_up}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.SiluMultiplyBackward(out[0], d_output.data(), out[0], rows, size);
  });
  const std::vector<uint32_t> chosen = Below(rows + 3, static_cast<uint32_t>(rows));
  Same(pair, "chosen rows of " + std::to_string(size), {Floats(chosen.size() * size)}, 0,
       [&](Compute& compute, const auto& out) { compute.GatherRows(d_output.data(), chosen, size, out[0]); });
  std::vector<RowRange> pieces;
  AppendPieces({0, rows}, 3, pieces);
  SameGradients(pair, "sums of " + std::to_string(rows) + " x " + std::to_string(size), {}, {size},
                kTolerance * std::sqrt(double(rows)), [&](Compute& compute, const auto&, const auto& gradients) {
                  compute.BiasGradient(d_output.data(), size, pieces, gradients[0]);
                });
}

// More rows than one block sums.
void CheckLongSums(Pair& pair, uint64_t rows, uint64_t columns) {
  const Floats values = Normals(rows * columns);
  std::vector<RowRange> pieces;
  AppendPieces({1, rows}, 100, pieces);
  SameGradients(pair, "sums of " + std::to_string(rows) + " x " + std::to_string(columns), {}, {columns},
                kTolerance * std::sqrt(double(rows)), [&](Compute& compute, const auto&, const auto& gradients) {
                  compute.BiasGradient(values.data(), columns, pieces, gradients[0]);
                });
}

void CheckRotation(Pair& pair, const HeadShape& shape, DType dtype, bool normed) {
  const std::string what = "rotation of " + std::to_string(shape.heads) + "/" + std::to_string(shape.kv_heads) + " heads of " +
                           std::to_string(shape.head_dim) + (normed ? " with norms" : "");
  const MicroBatch batch = BatchOf({9, 22}, 9);
  pair.host.compute.Begin(batch);
  pair.gpu.compute.Begin(batch);
  const uint64_t rows = batch.rows(), half = shape.head_dim / 2;
  Floats cosine(rows * half), sine(rows * half);
  for (size_t i = 0; i < cosine.size(); ++i) cosine[i] = std::cos(float(i)), sine[i] = std::sin(float(i));
  const Bytes q_weight = Stored(Normals(shape.head_dim), dtype), k_weight = Stored(Normals(shape.head_dim), dtype);
  const RotaryArgs rotary{shape,
                          {normed ? q_weight.data() : nullptr, dtype, shape.head_dim, 1e-6f},
                          {normed ? k_weight.data() : nullptr, dtype, shape.head_dim, 1e-6f},
                          cosine.data(),
                          sine.data()};
  const Floats qkv = Normals(rows * shape.qkv_size()), raw = Normals(rows * shape.qk_size());
  Same(pair, what, {qkv, Floats(raw.size())}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.Rotate(rotary, out[0], out[1]); });
  Same(pair, what + ", nothing kept", {qkv}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.Rotate(rotary, out[0], nullptr); });
  const std::vector<size_t> sizes(normed ? 2 : 0, shape.head_dim);
  SameGradients(pair, what + ", backward", {qkv}, sizes, kTolerance * std::sqrt(double(rows * shape.heads)),
                [&](Compute& compute, const auto& out, const auto& gradients) {
                  const Gradient none{nullptr, DType::kF32};
                  compute.RotateBackward(rotary, raw.data(), out[0], normed ? gradients[0] : none, normed ? gradients[1] : none);
                });
}

}  // namespace

void CheckRows() {
  Pair pair({.rows = 80, .sequence_tokens = 80, .widest_input = 600, .threads = 1});
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) CheckEmbedding(pair, dtype, 37);
  CheckEmbedding(pair, DType::kBF16, 300);
  CheckAngles(pair);
  CheckNorms(pair, DType::kF32, 1, 64);
  CheckNorms(pair, DType::kF16, 13, 40);
  CheckNorms(pair, DType::kBF16, 40, 517);
  CheckActivation(pair, 1, 5);
  CheckActivation(pair, 33, 300);
  CheckLongSums(pair, 1030, 37);
  CheckLongSums(pair, 385, 64);
  CheckRotation(pair, {4, 2, 64}, DType::kF32, false);
  CheckRotation(pair, {3, 3, 80}, DType::kBF16, true);
  CheckRotation(pair, {7, 1, 128}, DType::kF16, true);
  CheckRotation(pair, {2, 1, 6}, DType::kF32, true);
}

}  // namespace compute_check
