// The training kernels on every instruction set of this CPU against plain loops in double precision, in sizes that
// divide by nothing a vector or a block is long. Prints "ISA checked" for each.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "compute/dtype.h"
#include "compute/host/training_kernels.h"

namespace {

using namespace tideline;

uint32_t state = 1;
float Next() {
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1);
}
std::vector<float> Random(size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = Next();
  return values;
}

void Expect(bool good, const char* isa, const char* what) {
  if (good) return;
  std::printf("%s: %s is wrong\n", isa, what);
  std::exit(1);
}
void ExpectNear(double actual, double expected, double tolerance, const char* isa, const char* what) {
  Expect(std::abs(actual - expected) <= tolerance * (1 + std::abs(expected)), isa, what);
}

// C = [C +] A * B for A and B in either orientation, and B stored as float32 or bfloat16.
void CheckProduct(const TrainingKernels& kernels) {
  std::vector<float> scratch(kProductScratchFloats);
  for (const uint64_t rows : {1, 5, 6, 97}) {
    for (const uint64_t columns : {1, 16, 63, 65, 130}) {
      for (const uint64_t steps : {1, 7, 128, 301}) {
        for (int variant = 0; variant < 8; ++variant) {
          const bool a_transposed = variant & 1, b_transposed = variant & 2, accumulate = variant & 4;
          const DType dtype = variant % 3 == 0 ? DType::kBF16 : DType::kF32;
          const auto a = Random(rows * steps);
          auto b = Random(steps * columns);
          std::vector<uint16_t> narrow(b.size());
          if (dtype == DType::kBF16) {
            for (size_t i = 0; i < b.size(); ++i) narrow[i] = F32ToBF16(b[i]), b[i] = BF16ToF32(narrow[i]);
          }
          auto c = Random(rows * columns);
          const auto before = c;
          const uint64_t a_row = a_transposed ? 1 : steps, a_step = a_transposed ? rows : 1;
          const uint64_t b_step = b_transposed ? 1 : columns, b_column = b_transposed ? steps : 1;
          kernels.product({a.data(), a_row, a_step,
                           dtype == DType::kBF16 ? static_cast<const void*>(narrow.data()) : b.data(), dtype, b_step,
                           b_column, c.data(), columns, rows, columns, steps, accumulate, scratch.data()});
          for (uint64_t i = 0; i < rows; ++i) {
            for (uint64_t j = 0; j < columns; ++j) {
              double sum = accumulate ? before[i * columns + j] : 0;
              for (uint64_t s = 0; s < steps; ++s) {
                sum += static_cast<double>(a[i * a_row + s * a_step]) * b[s * b_step + j * b_column];
              }
              ExpectNear(c[i * columns + j], sum, 1e-5 * std::sqrt(static_cast<double>(steps)), kernels.isa, "product");
            }
          }
        }
      }
    }
  }
}

void CheckRows(const TrainingKernels& kernels) {
  for (const uint64_t size : {1, 4, 15, 33, 70, 1100}) {
    const auto input = Random(size), weight = Random(size), d_output = Random(size);
    double squares = 0, projection = 0, dot = 0, most = -1e30;
    for (uint64_t i = 0; i < size; ++i) {
      squares += static_cast<double>(input[i]) * input[i];
      projection += static_cast<double>(d_output[i]) * weight[i] * input[i];
      dot += static_cast<double>(d_output[i]) * weight[i];
      most = std::max<double>(most, input[i]);
    }
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(size) + 1e-5);
    auto d_input = Random(size);
    const auto before = d_input;
    const float seen = kernels.rms_norm_backward(d_input.data(), input.data(), weight.data(), DType::kF32,
                                                 d_output.data(), size, 1e-5f);
    ExpectNear(seen, inverse, 1e-5, kernels.isa, "inverse rms");
    for (uint64_t i = 0; i < size; ++i) {
      const double gradient = inverse * d_output[i] * weight[i] -
                              input[i] * inverse * inverse * inverse * projection / static_cast<double>(size);
      ExpectNear(d_input[i] - before[i], gradient, 2e-5 * (1 + inverse), kernels.isa, "norm's gradient");
    }
    ExpectNear(kernels.dot(d_output.data(), weight.data(), size), dot, 1e-5, kernels.isa, "dot");
    Expect(kernels.max(input.data(), size) == static_cast<float>(most), kernels.isa, "max");
    ExpectNear(kernels.sum_squares(input.data(), size), squares, 1e-5, kernels.isa, "sum of squares");

    std::vector<float> d_gate(size), d_up(size);
    kernels.silu_multiply_backward(d_gate.data(), d_up.data(), input.data(), weight.data(), d_output.data(), size);
    for (uint64_t i = 0; i < size; ++i) {
      const double sigmoid = 1 / (1 + std::exp(-static_cast<double>(input[i])));
      ExpectNear(d_up[i], d_output[i] * input[i] * sigmoid, 1e-5, kernels.isa, "up's gradient");
      ExpectNear(d_gate[i], d_output[i] * weight[i] * sigmoid * (1 + input[i] * (1 - sigmoid)), 1e-5, kernels.isa,
                 "gate's gradient");
    }

    double total = 0, weighted = 0;
    for (const float value : input) total += std::exp(value - most), weighted += std::exp(value - most) * (value - most);
    double total_seen = 0, weighted_seen = 0;
    kernels.exp_moments(input.data(), size, static_cast<float>(most), &total_seen, &weighted_seen);
    ExpectNear(total_seen, total, 1e-5, kernels.isa, "sum of exponentials");
    ExpectNear(weighted_seen, weighted, 1e-5, kernels.isa, "weighted sum of exponentials");

    const double log_sum = most + std::log(total), entropy = std::log(total) - weighted / total;
    auto logits = input;
    kernels.token_backward(logits.data(), size, static_cast<float>(log_sum), 0.7f, -0.3f, static_cast<float>(entropy));
    for (uint64_t i = 0; i < size; ++i) {
      const double logprob = input[i] - log_sum;
      ExpectNear(logits[i], -std::exp(logprob) * (0.7 - 0.3 * (logprob + entropy)), 1e-5, kernels.isa, "logits' gradient");
    }

    auto scores = d_output;
    kernels.softmax_backward(scores.data(), weight.data(), 0.25f, 0.5f, size);
    auto sum = before;
    kernels.add(sum.data(), input.data(), size);
    auto scaled = before;
    kernels.add_scaled_product(scaled.data(), d_output.data(), input.data(), 2.0f, size);
    for (uint64_t i = 0; i < size; ++i) {
      ExpectNear(scores[i], weight[i] * (d_output[i] - 0.25) * 0.5, 1e-6, kernels.isa, "softmax's gradient");
      ExpectNear(sum[i], static_cast<double>(before[i]) + input[i], 1e-6, kernels.isa, "sum");
      ExpectNear(scaled[i], before[i] + 2.0 * d_output[i] * input[i], 1e-6, kernels.isa, "scaled sum");
    }

    auto parameters = Random(size), first = Random(size), second = Random(size);
    for (float& value : second) value = std::abs(value);
    const auto p = parameters, m = first, v = second;
    kernels.adamw({.parameters = parameters.data(), .gradients = d_output.data(), .first = first.data(),
                   .second = second.data(), .count = size, .gradient_scale = 0.5f, .beta1 = 0.9f, .beta2 = 0.95f,
                   .eps = 1e-3f, .decay = 0.99f, .step_size = 0.1f, .second_scale = 1.5f});
    for (uint64_t i = 0; i < size; ++i) {
      const double gradient = 0.5 * d_output[i];
      const double mean = 0.9 * m[i] + 0.1 * gradient, square = 0.95 * v[i] + 0.05 * gradient * gradient;
      ExpectNear(first[i], mean, 1e-6, kernels.isa, "running mean");
      ExpectNear(second[i], square, 1e-6, kernels.isa, "running mean of squares");
      ExpectNear(parameters[i], 0.99 * p[i] - 0.1 * mean / (1.5 * std::sqrt(square) + 1e-3), 1e-4, kernels.isa, "AdamW");
    }
  }
}

}  // namespace

int main() {
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const tideline::TrainingKernels* kernels = tideline::TrainingKernelsFor(isa);
    if (kernels == nullptr) continue;
    Expect(std::strcmp(kernels->isa, isa) == 0, isa, "name");
    CheckProduct(*kernels);
    CheckRows(*kernels);
    std::printf("%s checked\n", isa);
  }
}
