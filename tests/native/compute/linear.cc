// Linear layers, forward and both gradients, of every storage type: by cuBLAS where the environment lets it be found.
#include "check.h"

#include "compute/cuda/cublas_library.h"

namespace compute_check {

namespace {

// Sums of up to some hundred terms of about 1 / sqrt(terms), in another order than the host's.
constexpr double kTolerance = 1e-5;

// cuBLAS may round a product to bfloat16 before it adds it to a gradient that is kept so, and on a card it does for few rows.
#ifdef TIDELINE_ON_GPU
constexpr unsigned kRoundings = 2;
#else
constexpr unsigned kRoundings = 1;
#endif

// `parts`: that the rows are narrowed in, of a layer in bfloat16.
void CheckLayer(Pair& pair, DType dtype, uint64_t rows, uint64_t outputs, uint64_t inputs, unsigned parts = 1) {
  const std::string what = std::string(DTypeName(dtype)) + ", " + std::to_string(rows) + " rows, " + std::to_string(outputs) +
                           " x " + std::to_string(inputs);
  const bool whole = dtype == DType::kI8;
  const Bytes weights = Stored(Normals(outputs * inputs, 1 / std::sqrt(float(inputs))), dtype);
  const Floats scales = Normals(outputs, 1 / (64 * std::sqrt(float(inputs))));
  const Bytes bias = Stored(Normals(outputs), whole ? DType::kF32 : dtype);
  LinearWeights linear{weights.data(), whole ? scales.data() : nullptr, bias.data(), dtype, outputs, inputs};
  const Floats x = OfTwoParts(rows * inputs, whole ? DType::kBF16 : dtype), d_y = Normals(rows * outputs, 1 / std::sqrt(float(outputs)));
  // Beside bfloat16, cuBLAS is given gradients narrowed to it. The host is given just those, so that no tolerance has to
  // cover it.
  const bool narrows = FindCublas().library != nullptr && dtype == DType::kBF16;
  const Floats narrowed_x = narrows ? Narrowed(x, dtype) : x, narrowed_d_y = narrows ? Narrowed(d_y, dtype) : d_y;
  const auto given = [&](const Compute& compute, const Floats& whole, const Floats& narrowed) {
    return &compute == &pair.host.compute ? narrowed.data() : whole.data();
  };
  for (const bool accumulate : {false, true}) {
    Same(pair, "forward of " + what + (accumulate ? ", added" : ""), {Normals(rows * outputs)}, kTolerance,
         [&](Compute& compute, const auto& out) { compute.LinearForward(linear, x.data(), out[0], rows, accumulate); });
  }
  linear.bias = nullptr;
  Same(pair, "forward without bias of " + what, {Normals(rows * outputs)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.LinearForward(linear, x.data(), out[0], rows, false); });
  if (whole) return;  // such weights are never trained
  Same(pair, "input gradient of " + what, {Normals(rows * inputs)}, kTolerance,
       [&](Compute& compute, const auto& out) { compute.LinearInputGradient(linear, given(compute, d_y, narrowed_d_y), out[0], rows); });
  std::vector<RowRange> pieces;
  AppendPieces({0, rows}, 16, pieces);
  SameGradients(
      pair, "weight gradient of " + what, {}, {outputs * inputs}, kTolerance,
      [&](Compute& compute, const auto&, const auto& gradients) {
        compute.LinearWeightGradient(linear, given(compute, d_y, narrowed_d_y), given(compute, x, narrowed_x), pieces,
                                     gradients[0]);
      },
      parts * kRoundings);
  SameGradients(
      pair, "both gradients of " + what, {Normals(rows * inputs)}, {outputs * inputs}, kTolerance,
      [&](Compute& compute, const auto& out, const auto& gradients) {
        compute.LinearGradients(linear, given(compute, d_y, narrowed_d_y), given(compute, x, narrowed_x), out[0], rows, pieces,
                                gradients[0]);
      },
      parts * kRoundings);
  SameGradients(
      pair, "both gradients, one over the input, of " + what, {Floats(rows * inputs)}, {outputs * inputs}, kTolerance,
      [&](Compute& compute, const auto& out, const auto& gradients) {
        std::copy(narrowed_x.begin(), narrowed_x.end(), out[0]);
        compute.LinearGradients(linear, given(compute, d_y, narrowed_d_y), out[0], out[0], rows, pieces, gradients[0]);
      },
      parts * kRoundings);
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
  // A scratch that narrows fewer rows than there are.
  Pair narrow({.rows = 10, .sequence_tokens = 10, .widest_input = 130, .threads = 1});
  CheckLayer(narrow, DType::kF16, 70, 67, 130);
  CheckLayer(narrow, DType::kBF16, 70, 67, 130, 6);
}

}  // namespace compute_check
