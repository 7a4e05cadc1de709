// The training kernels themselves, compiled once per instruction set: training_kernels_baseline.cc, …_avx2.cc and
// …_avx512.cc define KERNELS_NAMESPACE and include this. No standard template is used here, for the reason given in
// kernels_simd.h.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/host/training_kernels.h"  // TrainingKernels, ProductArgs, AdamWArgs

namespace tideline {
namespace KERNELS_NAMESPACE {
namespace {

#include "compute/host/kernels_simd.h"

constexpr int kLanes = Vec::kLanes;

// The whole vectors of a row, then its last, incomplete one: `body` gets the index and how many lanes count.
template <typename Body>
inline void ForVectors(uint64_t size, const Body& body) {
  const uint64_t whole = size - size % kLanes;
  for (uint64_t i = 0; i < whole; i += kLanes) body(i, (uint64_t)kLanes);
  if (whole < size) body(whole, size - whole);
}
template <typename T = F32>
inline Vec LoadLanes(const typename T::Stored* p, uint64_t lanes) {
  return lanes == kLanes ? T::Load(p) : LoadPart<T>(p, lanes);
}
inline void StoreLanes(float* p, Vec a, uint64_t lanes) {
  if (lanes == kLanes) return Store(p, a);
  StorePart<F32>(p, a, lanes);
}

inline Vec SquareRoot(Vec a) {
#if defined(__AVX512F__)
  return {_mm512_sqrt_ps(a.v)};
#elif defined(__AVX2__)
  return {_mm256_sqrt_ps(a.v)};
#else
  return {_mm_sqrt_ps(a.v)};
#endif
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrix product in panels: B is packed (and widened) into panels of kPanelColumns that stay in the first-level cache,
// each multiplied with kPanelRows rows of A at a time. Sums run over at most kBlockSteps steps in registers, then are
// added to C.

constexpr int kPanelRows = 6;
// Accumulators have to fit the registers: 32 with AVX-512, 16 otherwise.
constexpr int kPanelVectors = kLanes == 16 ? 4 : 2;
constexpr uint64_t kPanelColumns = kPanelVectors * kLanes;
constexpr uint64_t kBlockRows = 96, kBlockSteps = 128;
static_assert(kBlockRows * kBlockSteps + kBlockSteps * kPanelColumns <= kProductScratchFloats);
static_assert(kBlockRows % kPanelRows == 0);

// kRows rows of C against one packed panel of B.
template <int kRows>
void MultiplyPanel(const float* a, uint64_t a_row, uint64_t a_step, const float* b, uint64_t steps, float* c,
                   uint64_t c_row, uint64_t columns, bool accumulate) {
  Vec sums[kRows][kPanelVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = Zero();
  }
  for (uint64_t s = 0; s < steps; ++s) {
    Vec bs[kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) bs[v] = Load(b + s * kPanelColumns + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec value = Splat(a[r * a_row + s * a_step]);
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = MulAdd(value, bs[v], sums[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      const uint64_t column = v * kLanes;
      if (column >= columns) break;
      float* at = c + r * c_row + column;
      const uint64_t lanes = columns - column < kLanes ? columns - column : kLanes;
      StoreLanes(at, accumulate ? LoadLanes(at, lanes) + sums[r][v] : sums[r][v], lanes);
    }
  }
}

// Columns beyond `columns` are zero: they are multiplied and never stored.
template <typename W>
void PackB(float* packed, const typename W::Stored* b, uint64_t b_step, uint64_t b_column, uint64_t steps,
           uint64_t columns) {
  if (columns < kPanelColumns) __builtin_memset(packed, 0, steps * kPanelColumns * sizeof(float));
  if (b_column == 1) {
    for (uint64_t s = 0; s < steps; ++s) {
      ForVectors(columns, [&](uint64_t j, uint64_t lanes) {
        StoreLanes(packed + s * kPanelColumns + j, LoadLanes<W>(b + s * b_step + j, lanes), lanes);
      });
    }
    return;
  }
  for (uint64_t j = 0; j < columns; ++j) {
    float values[kBlockSteps];
    ForVectors(steps, [&](uint64_t s, uint64_t lanes) {
      StoreLanes(values + s, LoadLanes<W>(b + j * b_column + s, lanes), lanes);
    });
    for (uint64_t s = 0; s < steps; ++s) packed[s * kPanelColumns + j] = values[s];
  }
}

template <typename W>
void ProductAs(const ProductArgs& args) {
  const auto* b = (const typename W::Stored*)args.b;
  float* packed_a = args.scratch;
  float* packed_b = args.scratch + kBlockRows * kBlockSteps;
  for (uint64_t step = 0; step < args.steps; step += kBlockSteps) {
    const uint64_t steps = args.steps - step < kBlockSteps ? args.steps - step : kBlockSteps;
    const bool accumulate = args.accumulate || step > 0;
    for (uint64_t row = 0; row < args.rows; row += kBlockRows) {
      const uint64_t rows = args.rows - row < kBlockRows ? args.rows - row : kBlockRows;
      const float* a = args.a + row * args.a_row + step * args.a_step;
      uint64_t a_row = args.a_row, a_step = args.a_step, a_panel = kPanelRows * a_row;
      if (a_step != 1) {  // columns of A lie apart: bring those of a panel together
        for (uint64_t r = 0; r < rows; r += kPanelRows) {
          const uint64_t panel_rows = rows - r < kPanelRows ? rows - r : kPanelRows;
          float* target = packed_a + r * kBlockSteps;
          for (uint64_t s = 0; s < steps; ++s) {
            for (uint64_t i = 0; i < panel_rows; ++i) target[s * kPanelRows + i] = a[(r + i) * a_row + s * a_step];
          }
        }
        a = packed_a, a_row = 1, a_step = kPanelRows, a_panel = kPanelRows * kBlockSteps;
      }
      for (uint64_t column = 0; column < args.columns; column += kPanelColumns) {
        const uint64_t columns = args.columns - column < kPanelColumns ? args.columns - column : kPanelColumns;
        PackB<W>(packed_b, b + step * args.b_step + column * args.b_column, args.b_step, args.b_column, steps, columns);
        const float* panel = a;
        for (uint64_t r = 0; r < rows; r += kPanelRows, panel += a_panel) {
          float* c = args.c + (row + r) * args.c_row + column;
          switch (rows - r) {
            case 1: MultiplyPanel<1>(panel, a_row, a_step, packed_b, steps, c, args.c_row, columns, accumulate); break;
            case 2: MultiplyPanel<2>(panel, a_row, a_step, packed_b, steps, c, args.c_row, columns, accumulate); break;
            case 3: MultiplyPanel<3>(panel, a_row, a_step, packed_b, steps, c, args.c_row, columns, accumulate); break;
            case 4: MultiplyPanel<4>(panel, a_row, a_step, packed_b, steps, c, args.c_row, columns, accumulate); break;
            case 5: MultiplyPanel<5>(panel, a_row, a_step, packed_b, steps, c, args.c_row, columns, accumulate); break;
            default:
              MultiplyPanel<kPanelRows>(panel, a_row, a_step, packed_b, steps, c, args.c_row, columns, accumulate);
          }
        }
      }
    }
  }
}

void Product(const ProductArgs& args) {
  switch (args.b_dtype) {
    case DType::kF32: return ProductAs<F32>(args);
    case DType::kF16: return ProductAs<F16>(args);
    case DType::kBF16: return ProductAs<BF16>(args);
    case DType::kI8: return;  // such weights are never trained
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Norms, activations, sums

template <typename W>
float RmsNormBackwardAs(float* d_input, const float* input, const typename W::Stored* weight, const float* d_output,
                        uint64_t size, float eps) {
  Vec squares = Zero(), projection = Zero();
  ForVectors(size, [&](uint64_t i, uint64_t lanes) {
    const Vec x = LoadLanes(input + i, lanes);
    squares = MulAdd(x, x, squares);
    projection = MulAdd(LoadLanes(d_output + i, lanes) * LoadLanes<W>(weight + i, lanes), x, projection);
  });
  const float inverse_rms = 1.0f / __builtin_sqrtf(Sum(squares) / (float)size + eps);
  const Vec scale = Splat(inverse_rms);
  const Vec along = Splat(-inverse_rms * inverse_rms * inverse_rms * Sum(projection) / (float)size);
  ForVectors(size, [&](uint64_t i, uint64_t lanes) {
    const Vec direct = LoadLanes(d_output + i, lanes) * LoadLanes<W>(weight + i, lanes) * scale;
    const Vec gradient = MulAdd(LoadLanes(input + i, lanes), along, direct);
    StoreLanes(d_input + i, LoadLanes(d_input + i, lanes) + gradient, lanes);
  });
  return inverse_rms;
}

float RmsNormBackward(float* d_input, const float* input, const void* weight, DType dtype, const float* d_output,
                      uint64_t size, float eps) {
  switch (dtype) {
    case DType::kF16: return RmsNormBackwardAs<F16>(d_input, input, (const uint16_t*)weight, d_output, size, eps);
    case DType::kBF16: return RmsNormBackwardAs<BF16>(d_input, input, (const uint16_t*)weight, d_output, size, eps);
    default: return RmsNormBackwardAs<F32>(d_input, input, (const float*)weight, d_output, size, eps);
  }
}

void AddScaledProduct(float* sum, const float* d_output, const float* input, float inverse_rms, uint64_t size) {
  const Vec scale = Splat(inverse_rms);
  ForVectors(size, [&](uint64_t i, uint64_t lanes) {
    const Vec value = LoadLanes(d_output + i, lanes) * (LoadLanes(input + i, lanes) * scale);
    StoreLanes(sum + i, LoadLanes(sum + i, lanes) + value, lanes);
  });
}

void Add(float* sum, const float* values, uint64_t size) {
  ForVectors(size, [&](uint64_t i, uint64_t lanes) {
    StoreLanes(sum + i, LoadLanes(sum + i, lanes) + LoadLanes(values + i, lanes), lanes);
  });
}

void SiluMultiplyBackward(float* d_gate, float* d_up, const float* gate, const float* up, const float* d_output,
                          uint64_t size) {
  const Vec one = Splat(1.0f);
  ForVectors(size, [&](uint64_t i, uint64_t lanes) {
    const Vec g = LoadLanes(gate + i, lanes), d = LoadLanes(d_output + i, lanes);
    const Vec sigmoid = one / (one + Exp(Zero() - g));
    const Vec slope = sigmoid * (one + g * (one - sigmoid));
    StoreLanes(d_gate + i, d * LoadLanes(up + i, lanes) * slope, lanes);
    StoreLanes(d_up + i, d * g * sigmoid, lanes);
  });
}

float Dot(const float* a, const float* b, uint64_t size) {
  Vec sum = Zero();
  ForVectors(size, [&](uint64_t i, uint64_t lanes) {
    sum = MulAdd(LoadLanes(a + i, lanes), LoadLanes(b + i, lanes), sum);
  });
  return Sum(sum);
}

float Most(const float* values, uint64_t count) {
  Vec most = Splat(-__builtin_inff());
  const uint64_t whole = count - count % kLanes;
  for (uint64_t i = 0; i < whole; i += kLanes) most = Max(Load(values + i), most);
  float lanes[kLanes];
  Store(lanes, most);
  float result = lanes[0];
  for (int lane = 1; lane < kLanes; ++lane) result = lanes[lane] > result ? lanes[lane] : result;
  for (uint64_t i = whole; i < count; ++i) result = values[i] > result ? values[i] : result;
  return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Softmax, of attention and over the vocabulary

void SoftmaxBackward(float* d_probabilities, const float* probabilities, float shift, float scale, uint64_t count) {
  ForVectors(count, [&](uint64_t i, uint64_t lanes) {
    const Vec d = LoadLanes(d_probabilities + i, lanes) - Splat(shift);
    StoreLanes(d_probabilities + i, LoadLanes(probabilities + i, lanes) * d * Splat(scale), lanes);
  });
}

void ExpMoments(const float* values, uint64_t count, float shift, double* total, double* weighted) {
  constexpr uint64_t kFlush = 64 * kLanes;  // float32 partial sums stay short
  *total = *weighted = 0;
  for (uint64_t begin = 0; begin < count; begin += kFlush) {
    const uint64_t end = begin + kFlush < count ? begin + kFlush : count;
    const uint64_t whole = begin + (end - begin) / kLanes * kLanes;
    Vec sum = Zero(), weighted_sum = Zero();
    for (uint64_t i = begin; i < whole; i += kLanes) {
      const Vec centred = Load(values + i) - Splat(shift);
      const Vec term = Exp(centred);
      sum = sum + term;
      weighted_sum = MulAdd(term, centred, weighted_sum);
    }
    *total += Sum(sum);
    *weighted += Sum(weighted_sum);
    if (whole < end) {
      float centred[kLanes], terms[kLanes];
      const Vec part = LoadPart<F32>(values + whole, end - whole) - Splat(shift);
      Store(centred, part);
      Store(terms, Exp(part));
      for (uint64_t lane = 0; lane < end - whole; ++lane) {
        *total += terms[lane];
        *weighted += (double)terms[lane] * centred[lane];
      }
    }
  }
}

void TokenBackward(float* logits, uint64_t count, float log_sum, float for_logprob, float for_entropy, float entropy) {
  ForVectors(count, [&](uint64_t i, uint64_t lanes) {
    const Vec logprob = LoadLanes(logits + i, lanes) - Splat(log_sum);
    const Vec factor = MulAdd(Splat(for_entropy), logprob + Splat(entropy), Splat(for_logprob));
    StoreLanes(logits + i, Zero() - Exp(logprob) * factor, lanes);
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Optimizer

double SumSquares(const float* values, uint64_t count) {
  constexpr uint64_t kFlush = 64 * kLanes;
  double total = 0;
  for (uint64_t begin = 0; begin < count; begin += kFlush) {
    const uint64_t size = count - begin < kFlush ? count - begin : kFlush;
    Vec sum = Zero();
    ForVectors(size, [&](uint64_t i, uint64_t lanes) {
      const Vec value = LoadLanes(values + begin + i, lanes);
      sum = MulAdd(value, value, sum);
    });
    total += Sum(sum);
  }
  return total;
}

void AdamW(const AdamWArgs& args) {
  const Vec keep1 = Splat(args.beta1), keep2 = Splat(args.beta2);
  const Vec take1 = Splat(1.0f - args.beta1), take2 = Splat(1.0f - args.beta2);
  ForVectors(args.count, [&](uint64_t i, uint64_t lanes) {
    const Vec gradient = LoadLanes(args.gradients + i, lanes) * Splat(args.gradient_scale);
    const Vec first = MulAdd(keep1, LoadLanes(args.first + i, lanes), take1 * gradient);
    const Vec second = MulAdd(keep2, LoadLanes(args.second + i, lanes), take2 * gradient * gradient);
    StoreLanes(args.first + i, first, lanes);
    StoreLanes(args.second + i, second, lanes);
    const Vec denominator = MulAdd(SquareRoot(second), Splat(args.second_scale), Splat(args.eps));
    const Vec decayed = LoadLanes(args.parameters + i, lanes) * Splat(args.decay);
    StoreLanes(args.parameters + i, decayed - Splat(args.step_size) * first / denominator, lanes);
  });
}

}  // namespace

extern const TrainingKernels kTrainingKernels;
const TrainingKernels kTrainingKernels = {
    KERNELS_ISA,     Product, RmsNormBackward, AddScaledProduct, Add,        SiluMultiplyBackward,
    Dot,             Most,    SoftmaxBackward, ExpMoments,       TokenBackward, SumSquares,
    AdamW};

}  // namespace KERNELS_NAMESPACE
}  // namespace tideline
