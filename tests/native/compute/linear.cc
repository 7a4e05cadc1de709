// Linear layers, forward and both gradients, of every storage type.
#include "check.h"

namespace compute_check {

namespace {

// Sums of up to some hundred terms of about 1 / sqrt(terms), in another order than the host's.
constexpr double kTolerance = 1e-5;

void CheckLayer(Pair& pair, DType dtype, uint64_t rows, uint64_t outputs, uint64_t inputs) {
  const std::string what = std::string(DTypeName(dtype)) + ", " + std::to_string(rows) + " rows, " + std::to_string(outputs) +
                           " x " + std::to_string(inputs);
  const bool whole = dtype == DType::kI8;
  const Bytes weights = Stored(Normals(outputs * inputs, 1 / std::sqrt(float(inputs))), dtype);
  const Floats scales = Normals(outputs, 1 / (64 * std::sqrt(float(inputs))));
  const Bytes bias = Stored(Normals(outputs), whole ? DType::kF32 : dtype);
  LinearWeights linear{weights.data(), whole ? scales.data() : nullptr, bias.data(), dtype, outputs, inputs};
  const Floats x = Normals(rows * inputs), d_y = Normals(rows * outputs, 1 / std::sqrt(float(outputs)));
  for (const bool accumulate : {false, true}) {
    Same(pair, "forward of " + what + (accumulate ? ", added" : ""), {Normals(rows * outputs)}, kTolerance,
         [&](Compute& compute, const auto& out) { compute.LinearForward(linear, x.data(), out[0], rows, accumulate); });
  }
  linear.bias = nullptr;
  Same(pair, "forward without bias of " + what, {Normals(rows * outputs)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.LinearForward(linear, x.data(), out[0], rows, false); });
  if (whole) return;  // such weights are never trained
  Same(pair, "input gradient of " + what, {Normals(rows * inputs)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.LinearInputGradient(linear, d_y.data(), out[0], rows); });
  std::vector<RowRange> pieces;
  AppendPieces({0, rows}, 16, pieces);
  Same(pair, "weight gradient of " + what, {Normals(outputs * inputs)}, kTolerance, [&](Compute& compute, const auto& out) {
    compute.LinearWeightGradient(linear, d_y.data(), x.data(), pieces, out[0]);
  });
}

}  // namespace

void CheckLinear() {
  Pair pair({.rows = 150, .sequence_tokens = 150, .widest_input = 600, .threads = 1});
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) {
    for (const uint64_t rows : {1, 2, 3, 8}) {
      CheckLayer(pair, dtype, rows, 37, 96);    // 16 bytes at a time
      CheckLayer(pair, dtype, rows, 9, 75);     // one by one
    }
    CheckLayer(pair, dtype, 9, 64, 64);
    CheckLayer(pair, dtype, 70, 67, 130);
  }
  CheckLayer(pair, DType::kF32, 5, 3, 520);
  CheckLayer(pair, DType::kF32, 130, 1, 5);
}

}  // namespace compute_check
