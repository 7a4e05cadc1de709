// The kernels of every instruction set that this CPU has, against double precision and against each other. Prints one
// line per failure and one per instruction set; exits with 1 when anything failed. Run by kernels.test.ts.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "compute/host/kernels.h"

namespace {

using namespace tideline;

int failures = 0;
std::mt19937 random_bits(1);

void Expect(bool good, const char* isa, const std::string& what) {
  if (good) return;
  if (++failures <= 20) std::printf("FAIL %s: %s\n", isa, what.c_str());
}

float Normal() {
  static std::normal_distribution<float> normal(0, 1);
  return normal(random_bits);
}

std::vector<float> Normals(size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = Normal();
  return values;
}

bool SameBits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b)); }

// A half's value from the definition of IEEE 754.
float HalfValue(uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const float sign = half & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(float(mantissa), -24) : std::ldexp(float(1024 + mantissa), exponent - 25));
}

void CheckConversions(const Kernels& kernels) {
  std::vector<uint16_t> halves(65536), back(65536);
  for (size_t bits = 0; bits < halves.size(); ++bits) halves[bits] = static_cast<uint16_t>(bits);
  std::vector<float> values(halves.size());
  kernels.convert(values.data(), DType::kF32, halves.data(), DType::kF16, halves.size());
  kernels.convert(back.data(), DType::kF16, values.data(), DType::kF32, values.size());
  for (size_t bits = 0; bits < halves.size(); ++bits) {
    Expect(SameBits(values[bits], HalfValue(halves[bits])), kernels.isa, "half " + std::to_string(bits) + " widened");
    Expect(back[bits] == bits || std::isnan(values[bits]), kernels.isa, "half " + std::to_string(bits) + " there and back");
  }
  // Halfway between two halves, the even one is chosen; a hair above, the upper one.
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const float middle = (HalfValue(half) + HalfValue(half + 1)) / 2, above = std::nextafterf(middle, INFINITY);
    const float given[2] = {middle, above};
    uint16_t stored[2];
    kernels.convert(stored, DType::kF16, given, DType::kF32, 2);
    Expect(stored[0] == half + (half & 1) && stored[1] == half + 1, kernels.isa, "rounding above half " + std::to_string(half));
  }
  std::vector<float> wild(100003);
  for (size_t at = 0; at < wild.size(); ++at) {
    float& value = wild[at];
    uint32_t bits = static_cast<uint32_t>(random_bits());
    if (at % 2) bits = (bits & 0xffff0000u) | 0x8000u;  // halfway between two bfloat16
    std::memcpy(&value, &bits, sizeof value);
  }
  std::vector<uint16_t> stored(wild.size());
  kernels.convert(stored.data(), DType::kBF16, wild.data(), DType::kF32, wild.size());
  for (size_t at = 0; at < wild.size(); ++at) {
    Expect(SameBits(BF16ToF32(stored[at]), BF16ToF32(F32ToBF16(wild[at]))), kernels.isa, "bfloat16 rounding");
  }
}

// Right to float32's precision, and each row the same bits whatever rows are beside it.
void CheckMatMul(const Kernels& kernels, uint64_t k, uint64_t columns) {
  constexpr uint64_t kRows = 40;
  const std::vector<float> x = Normals(kRows * k), exact = Normals(columns * k);
  std::vector<uint16_t> weights(columns * k), bias(columns);
  kernels.convert(weights.data(), DType::kBF16, exact.data(), DType::kF32, weights.size());
  kernels.convert(bias.data(), DType::kBF16, exact.data(), DType::kF32, columns);
  std::vector<float> scratch(kMatMulScratchFloats), y(kRows * columns);
  const auto multiply = [&](uint64_t first, uint64_t rows, float* to) {
    kernels.matmul({x.data() + first * k, weights.data(), DType::kBF16, bias.data(), to, columns, rows, k, false,
                    scratch.data()},
                   0, columns);
  };
  multiply(0, kRows, y.data());
  for (uint64_t row = 0; row < kRows; ++row) {
    for (uint64_t column = 0; column < columns; ++column) {
      double sum = BF16ToF32(bias[column]), magnitude = 1;
      for (uint64_t i = 0; i < k; ++i) {
        const double product = double(x[row * k + i]) * BF16ToF32(weights[column * k + i]);
        sum += product;
        magnitude += std::abs(product);
      }
      Expect(std::abs(sum - y[row * columns + column]) < 2e-6 * magnitude, kernels.isa, "matmul, k " + std::to_string(k));
    }
  }
  for (const uint64_t rows : {1, 2, 3, 5, 8, 13, 25}) {
    std::vector<float> few(rows * columns);
    const uint64_t first = kRows - rows;
    multiply(first, rows, few.data());
    Expect(std::memcmp(few.data(), y.data() + first * columns, few.size() * sizeof(float)) == 0, kernels.isa,
           "matmul of " + std::to_string(rows) + " rows differs from the same rows among 40");
  }
}

// Whole numbers times a scale, to half a step, and the product with them as the product with what they stand for.
void CheckInt8(const Kernels& kernels, uint64_t k, uint64_t columns) {
  constexpr uint64_t kRows = 30;
  const std::vector<float> x = Normals(kRows * k), bias = Normals(columns);
  std::vector<float> exact = Normals(columns * k), scales(columns), y(kRows * columns), scratch(kMatMulScratchFloats);
  std::fill_n(exact.begin(), k, 0.0f);
  std::vector<int8_t> whole(columns * k);
  for (uint64_t column = 0; column < columns; ++column) {
    const float* row = exact.data() + column * k;
    float largest = 0;
    for (uint64_t i = 0; i < k; ++i) largest = std::max(largest, std::abs(row[i]));
    scales[column] = kernels.quantize_row(whole.data() + column * k, row, k);
    Expect(scales[column] == largest / 127, kernels.isa, "the scale of a row of " + std::to_string(k));
    for (uint64_t i = 0; i < k; ++i) {
      const double off = std::abs(row[i] - double(whole[column * k + i]) * scales[column]);
      Expect(off <= 0.50002 * scales[column], kernels.isa, "quantising a row of " + std::to_string(k));
    }
  }
  MatMulArgs args{x.data(), whole.data(), DType::kI8, bias.data(), y.data(), columns, 1, k, false, scratch.data(),
                  scales.data()};
  for (const uint64_t rows : {uint64_t{1}, kRows}) {
    args.rows = rows;
    kernels.matmul(args, 0, columns);
    for (uint64_t at = 0; at < rows * columns; ++at) {
      const uint64_t row = at / columns, column = at % columns;
      double sum = bias[column], magnitude = 1;
      for (uint64_t i = 0; i < k; ++i) {
        const double product = double(x[row * k + i]) * whole[column * k + i] * scales[column];
        sum += product;
        magnitude += std::abs(product);
      }
      Expect(std::abs(sum - y[at]) < 2e-6 * magnitude, kernels.isa, "int8 matmul, k " + std::to_string(k));
    }
  }
  for (const float none : {NAN, INFINITY, -INFINITY}) {
    exact[columns * k - 1] = none;
    const float scale = kernels.quantize_row(whole.data(), exact.data() + (columns - 1) * k, k);
    Expect(std::isnan(scale), kernels.isa, "a row with a number that is none");
  }
}

void CheckAttention(const Kernels& kernels, DType dtype, uint64_t head_dim, uint64_t context) {
  constexpr uint64_t kBlockTokens = 16;
  constexpr float kScale = 0.3f;
  const uint64_t blocks = (context + kBlockTokens - 1) / kBlockTokens, size = DTypeBytes(dtype);
  const uint64_t head_elements = head_dim * kBlockTokens;
  std::vector<std::byte> cache(blocks * 2 * head_elements * size);
  // Stores a value, and returns what is read back.
  const auto put = [&](uint64_t element, float value) {
    float stored;
    kernels.convert(cache.data() + element * size, dtype, &value, DType::kF32, 1);
    kernels.convert(&stored, DType::kF32, cache.data() + element * size, dtype, 1);
    return stored;
  };
  // Slots past the sequence hold NaNs: they must not matter.
  for (uint64_t element = 0; element < blocks * 2 * head_elements; ++element) put(element, NAN);
  std::vector<uint32_t> numbers(blocks);
  for (uint64_t block = 0; block < blocks; ++block) numbers[block] = static_cast<uint32_t>(blocks - 1 - block);

  const std::vector<float> query = Normals(head_dim);
  std::vector<double> weights(context), truth(head_dim);
  std::vector<float> values(context * head_dim);
  double total = 0;
  for (uint64_t token = 0; token < context; ++token) {
    const uint64_t base = numbers[token / kBlockTokens] * 2 * head_elements, slot = token % kBlockTokens;
    double score = 0;
    for (uint64_t d = 0; d < head_dim; ++d) {
      score += double(query[d]) * put(base + d * kBlockTokens + slot, Normal());
      values[token * head_dim + d] = put(base + head_elements + slot * head_dim + d, Normal());
    }
    total += weights[token] = std::exp(score * kScale);
  }
  for (uint64_t token = 0; token < context; ++token) {
    for (uint64_t d = 0; d < head_dim; ++d) truth[d] += weights[token] / total * values[token * head_dim + d];
  }
  std::vector<float> scores(blocks * kBlockTokens), output(head_dim);
  kernels.attention({query.data(), cache.data(), numbers.data(), 2 * head_elements * size, 0, head_elements * size,
                     context, kBlockTokens, head_dim, dtype, kScale, scores.data(), output.data()});
  for (uint64_t d = 0; d < head_dim; ++d) {
    Expect(std::abs(output[d] - truth[d]) < 2e-5, kernels.isa,
           "attention, head_dim " + std::to_string(head_dim) + ", context " + std::to_string(context));
  }
}

void CheckVocabulary(const Kernels& kernels) {
  const auto largest = [&](std::vector<float> values) { return kernels.argmax(values.data(), values.size()); };
  Expect(largest({NAN, -1, 3, 3, NAN, 2, -INFINITY}) == 2, kernels.isa, "argmax takes the first of equals, and no NaN");
  std::vector<float> many(100, -INFINITY);
  many[77] = NAN;
  Expect(largest(many) == many.size(), kernels.isa, "argmax without a number");
  many[55] = many[56] = 1;
  Expect(largest(many) == 55, kernels.isa, "argmax in the middle");

  std::vector<float> values(100003), terms(values.size());
  for (size_t at = 0; at < values.size(); ++at) values[at] = -87.0f + 87.0f * float(at) / float(values.size());
  const double sum = kernels.exp_sum(values.data(), values.size(), 0, 1, terms.data());
  double truth = 0;
  for (size_t at = 0; at < values.size(); ++at) {
    const double term = std::exp(double(values[at]));
    truth += term;
    Expect(std::abs(terms[at] - term) < 2.4e-7 * term, kernels.isa, "exp(" + std::to_string(values[at]) + ")");
  }
  Expect(std::abs(sum - truth) < 1e-6 * truth, kernels.isa, "sum of exponentials");
}

}  // namespace

int main() {
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const Kernels* kernels = KernelsFor(isa);
    std::printf("%s %s\n", isa, kernels == nullptr ? "not on this CPU" : "checked");
    if (kernels == nullptr) continue;
    CheckConversions(*kernels);
    for (const uint64_t k : {1, 7, 64, 100, 1024, 1500}) {
      for (const uint64_t columns : {1, 5, 8, 19}) CheckMatMul(*kernels, k, columns);
      CheckInt8(*kernels, k, 13);
    }
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      // Halves of random values overflow nothing here, and their scores stay as exact as the others'.
      for (const uint64_t head_dim : {2, 6, 16, 64, 80, 128}) {
        for (const uint64_t context : {1, 15, 16, 17, 100}) CheckAttention(*kernels, dtype, head_dim, context);
      }
    }
    CheckVocabulary(*kernels);
  }
  return failures == 0 ? 0 : 1;
}
