// The kernels themselves, compiled once per instruction set: kernels_baseline.cc, kernels_avx2.cc and
// kernels_avx512.cc define KERNELS_NAMESPACE and include this. See kernels.h for the rule about the order of
// operations and kernels_simd.h for why no standard template is used here.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/host/kernels.h"  // Kernels, MatMulArgs, AttentionArgs

namespace tideline {
namespace KERNELS_NAMESPACE {
namespace {

#include "compute/host/kernels_simd.h"

constexpr int kLanes = Vec::kLanes;

// ---------------------------------------------------------------------------------------------------------------------
// Matrix product. Each output has one vector accumulator that walks k in steps of kLanes, then sums its lanes.

// Accumulators of a tile have to fit the registers: 32 with AVX-512, 16 otherwise.
constexpr int kTileRows = kLanes == 16 ? 6 : 3;
constexpr int kTileColumns = 4;
// One row is bound by memory, not by registers: more columns keep more loads in flight.
constexpr int kColumnsForOneRow = 8;
// x rows worked on together stay in the second-level cache.
constexpr uint64_t kCachedRowsBytes = 384 << 10;

template <typename W, int kRows, int kColumns>
void Tile(const MatMulArgs& args, const typename W::Stored* weights, uint64_t row, uint64_t column) {
  const float* x = args.x + row * args.k;
  const uint64_t k = args.k, whole = k - k % kLanes;
  Vec sums[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) sums[r][c] = Zero();
  }
  for (uint64_t i = 0; i < whole; i += kLanes) {
    Vec xs[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) xs[r] = Load(x + r * k + i);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const Vec w = W::Load(weights + c * k + i);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sums[r][c] = MulAdd(xs[r], w, sums[r][c]);
    }
  }
  if (whole < k) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const Vec w = LoadPart<W>(weights + c * k + whole, k - whole);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sums[r][c] = MulAdd(LoadPart<F32>(x + r * k + whole, k - whole), w, sums[r][c]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      float* y = args.y + (row + r) * args.y_stride + column + c;
      const float total = Sum(sums[r][c]);
      const float sum = args.scales != nullptr ? total * args.scales[column + c] : total;
      *y = args.accumulate ? *y + sum : sum;
    }
  }
}

// All rows of [row, row_end) against kColumns columns, in as few tiles as possible and those as even as possible.
template <typename W, int kColumns>
void TileRows(const MatMulArgs& args, const typename W::Stored* weights, uint64_t row, uint64_t row_end,
              uint64_t column) {
  while (row < row_end) {
    const uint64_t left = row_end - row, tiles = (left + kTileRows - 1) / kTileRows, rows = (left + tiles - 1) / tiles;
    switch (rows) {
      case 1: Tile<W, 1, kColumns>(args, weights, row, column); break;
      case 2: Tile<W, 2, kColumns>(args, weights, row, column); break;
      case 3: Tile<W, 3, kColumns>(args, weights, row, column); break;
      case 4: Tile<W, 4, kColumns>(args, weights, row, column); break;
      case 5: Tile<W, 5, kColumns>(args, weights, row, column); break;
      default: Tile<W, 6, kColumns>(args, weights, row, column); break;
    }
    row += rows;
  }
}

template <typename S, typename T>
void ConvertRange(typename T::Stored* target, const typename S::Stored* source, uint64_t count) {
  const uint64_t whole = count - count % kLanes;
  for (uint64_t i = 0; i < whole; i += kLanes) T::Store(target + i, S::Load(source + i));
  if (whole < count) StorePart<T>(target + whole, LoadPart<S>(source + whole, count - whole), count - whole);
}

// The bias goes in first (or onto what is there), so that tiles only ever add their sum.
template <typename W>
void AddBias(const MatMulArgs& args, const typename W::Stored* bias, uint64_t begin, uint64_t end) {
  for (uint64_t column = begin; column < end; ++column) {
    float value;
    ConvertRange<W, F32>(&value, bias + column, 1);
    for (uint64_t row = 0; row < args.rows; ++row) {
      float* y = args.y + row * args.y_stride + column;
      *y = args.accumulate ? *y + value : value;
    }
  }
}

template <typename W>
void MatMulAs(const MatMulArgs& given, uint64_t begin, uint64_t end) {
  MatMulArgs args = given;
  const auto* weights = (const typename W::Stored*)args.weights;
  if (args.bias != nullptr) {
    AddBias<typename W::Bias>(args, (const typename W::Bias::Stored*)args.bias, begin, end);
    args.accumulate = true;
  }
  const uint64_t k = args.k;
  if (args.rows == 1) {
    uint64_t column = begin;
    for (; column + kColumnsForOneRow <= end; column += kColumnsForOneRow) {
      Tile<W, 1, kColumnsForOneRow>(args, weights + column * k, 0, column);
    }
    for (; column < end; ++column) Tile<W, 1, 1>(args, weights + column * k, 0, column);
    return;
  }
  uint64_t cached_rows = kCachedRowsBytes / (k * sizeof(float)) / kTileRows * kTileRows;
  if (cached_rows < 4 * kTileRows) cached_rows = 4 * kTileRows;
  // Widening a tile of weights once pays when several tiles of rows use it and it stays in the first-level cache.
  const bool widen = sizeof(typename W::Stored) < sizeof(float) && args.rows > 4 * kTileRows && k <= kMostWidenedK;
  for (uint64_t row = 0; row < args.rows; row += cached_rows) {
    const uint64_t row_end = row + cached_rows < args.rows ? row + cached_rows : args.rows;
    uint64_t column = begin;
    for (; column + kTileColumns <= end; column += kTileColumns) {
      if (widen) {
        ConvertRange<W, F32>(args.scratch, weights + column * k, kTileColumns * k);
        TileRows<F32, kTileColumns>(args, args.scratch, row, row_end, column);
      } else {
        TileRows<W, kTileColumns>(args, weights + column * k, row, row_end, column);
      }
    }
    for (; column < end; ++column) TileRows<W, 1>(args, weights + column * k, row, row_end, column);
  }
}

void MatMul(const MatMulArgs& args, uint64_t begin, uint64_t end) {
  switch (args.dtype) {
    case DType::kF32: return MatMulAs<F32>(args, begin, end);
    case DType::kF16: return MatMulAs<F16>(args, begin, end);
    case DType::kBF16: return MatMulAs<BF16>(args, begin, end);
    case DType::kI8: return MatMulAs<I8>(args, begin, end);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Attention in two passes over the sequence: all scores, softmax, then the weighted sum of the values.

// 16 tokens at a time: keys lie with tokens innermost, so a vector of scores needs no sum across lanes. Four chains
// over head_dim, always combined the same way, hide the latency of the multiply-add.
template <typename T>
void ScoreBlock(const AttentionArgs& args, const typename T::Stored* keys, float* scores) {
  for (uint64_t token = 0; token < args.block_tokens; token += kLanes) {
    Vec chains[4] = {Zero(), Zero(), Zero(), Zero()};
    uint64_t d = 0;
    for (; d + 4 <= args.head_dim; d += 4) {
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
        const Vec key = T::Load(keys + (d + c) * args.block_tokens + token);
        chains[c] = MulAdd(Splat(args.query[d + c]), key, chains[c]);
      }
    }
    for (int c = 0; d < args.head_dim; ++d, ++c) {
      chains[c] = MulAdd(Splat(args.query[d]), T::Load(keys + d * args.block_tokens + token), chains[c]);
    }
    Store(scores + token, ((chains[0] + chains[1]) + (chains[2] + chains[3])) * Splat(args.scale));
  }
}

// Adds every token's value vector, weighted, into kVectors vectors of the output.
template <typename T, int kVectors>
void WeighValues(const AttentionArgs& args, uint64_t d, uint64_t lanes_of_last, Vec scale) {
  Vec sums[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) sums[v] = Zero();
  uint64_t token = 0;
  for (uint64_t block = 0; token < args.context_tokens; ++block) {
    const auto* values = (const typename T::Stored*)(args.layer + args.blocks[block] * args.block_stride_bytes +
                                                     args.value_offset_bytes) + d;
    for (uint64_t t = 0; t < args.block_tokens && token < args.context_tokens; ++t, ++token, values += args.head_dim) {
      const Vec weight = Splat(args.scores[token]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const Vec value = lanes_of_last == kLanes ? T::Load(values + v * kLanes) : LoadPart<T>(values, lanes_of_last);
        sums[v] = MulAdd(weight, value, sums[v]);
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) StorePart<F32>(args.output + d + v * kLanes, sums[v] * scale, lanes_of_last);
}

template <typename T>
void AttentionAs(const AttentionArgs& args) {
  const uint64_t blocks = (args.context_tokens + args.block_tokens - 1) / args.block_tokens;
  for (uint64_t block = 0; block < blocks; ++block) {
    const auto* keys =
        (const typename T::Stored*)(args.layer + args.blocks[block] * args.block_stride_bytes + args.key_offset_bytes);
    ScoreBlock<T>(args, keys, args.scores + block * args.block_tokens);
  }
  // What lies beyond the sequence in its last block was never written: it must not count.
  const uint64_t padded = blocks * args.block_tokens;
  for (uint64_t token = args.context_tokens; token < padded; ++token) args.scores[token] = -__builtin_inff();

  Vec most = Splat(-__builtin_inff());
  for (uint64_t token = 0; token < padded; token += kLanes) most = Max(Load(args.scores + token), most);
  float lanes[kLanes];
  Store(lanes, most);
  float shift = lanes[0];
  for (int lane = 1; lane < kLanes; ++lane) shift = lanes[lane] > shift ? lanes[lane] : shift;

  Vec sum = Zero();
  for (uint64_t token = 0; token < padded; token += kLanes) {
    const Vec weight = Exp(Load(args.scores + token) - Splat(shift));
    Store(args.scores + token, weight);
    sum = sum + weight;
  }
  const Vec scale = Splat(1.0f / Sum(sum));

  uint64_t d = 0;
  for (; d + 4 * kLanes <= args.head_dim; d += 4 * kLanes) WeighValues<T, 4>(args, d, kLanes, scale);
  for (; d + kLanes <= args.head_dim; d += kLanes) WeighValues<T, 1>(args, d, kLanes, scale);
  if (d < args.head_dim) WeighValues<T, 1>(args, d, args.head_dim - d, scale);
}

void Attention(const AttentionArgs& args) {
  switch (args.dtype) {
    case DType::kF32: return AttentionAs<F32>(args);
    case DType::kF16: return AttentionAs<F16>(args);
    case DType::kBF16: return AttentionAs<BF16>(args);
    case DType::kI8: return;  // keys and values have no scales
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Element-wise

template <typename W>
void RmsNormAs(float* output, const float* input, const typename W::Stored* weight, uint64_t size, float eps) {
  Vec squares = Zero();
  const uint64_t whole = size - size % kLanes;
  for (uint64_t i = 0; i < whole; i += kLanes) {
    const Vec x = Load(input + i);
    squares = MulAdd(x, x, squares);
  }
  if (whole < size) {
    const Vec x = LoadPart<F32>(input + whole, size - whole);
    squares = MulAdd(x, x, squares);
  }
  const Vec scale = Splat(1.0f / __builtin_sqrtf(Sum(squares) / (float)size + eps));
  for (uint64_t i = 0; i < whole; i += kLanes) Store(output + i, Load(input + i) * scale * W::Load(weight + i));
  if (whole < size) {
    const uint64_t rest = size - whole;
    StorePart<F32>(output + whole, LoadPart<F32>(input + whole, rest) * scale * LoadPart<W>(weight + whole, rest), rest);
  }
}

void RmsNorm(float* output, const float* input, const void* weight, DType dtype, uint64_t size, float eps) {
  switch (dtype) {
    case DType::kF32: return RmsNormAs<F32>(output, input, (const float*)weight, size, eps);
    case DType::kF16: return RmsNormAs<F16>(output, input, (const uint16_t*)weight, size, eps);
    case DType::kBF16: return RmsNormAs<BF16>(output, input, (const uint16_t*)weight, size, eps);
    case DType::kI8: return;  // norms stay float32
  }
}

void Rope(float* head, const float* cosine, const float* sine, uint64_t half) {
  for (uint64_t i = 0; i < half; ++i) {
    const float first = head[i], second = head[half + i];
    head[i] = first * cosine[i] - second * sine[i];
    head[half + i] = second * cosine[i] + first * sine[i];
  }
}

inline Vec SiluTimes(Vec gate, Vec up) { return gate / (Splat(1.0f) + Exp(Zero() - gate)) * up; }

void SiluMultiply(float* output, const float* gate, const float* up, uint64_t size) {
  const uint64_t whole = size - size % kLanes;
  for (uint64_t i = 0; i < whole; i += kLanes) Store(output + i, SiluTimes(Load(gate + i), Load(up + i)));
  if (whole < size) {
    const uint64_t rest = size - whole;
    StorePart<F32>(output + whole, SiluTimes(LoadPart<F32>(gate + whole, rest), LoadPart<F32>(up + whole, rest)), rest);
  }
}

template <typename S>
void ConvertFrom(void* target, DType target_dtype, const typename S::Stored* source, uint64_t count) {
  switch (target_dtype) {
    case DType::kF32: return ConvertRange<S, F32>((float*)target, source, count);
    case DType::kF16: return ConvertRange<S, F16>((uint16_t*)target, source, count);
    case DType::kBF16: return ConvertRange<S, BF16>((uint16_t*)target, source, count);
    case DType::kI8: return;  // QuantizeRow does
  }
}

void Convert(void* target, DType target_dtype, const void* source, DType source_dtype, uint64_t count) {
  if (target_dtype == source_dtype) {
    __builtin_memcpy(target, source, count * DTypeBytes(target_dtype));
    return;
  }
  switch (source_dtype) {
    case DType::kF32: return ConvertFrom<F32>(target, target_dtype, (const float*)source, count);
    case DType::kF16: return ConvertFrom<F16>(target, target_dtype, (const uint16_t*)source, count);
    case DType::kBF16: return ConvertFrom<BF16>(target, target_dtype, (const uint16_t*)source, count);
    case DType::kI8: return ConvertFrom<I8>(target, target_dtype, (const int8_t*)source, count);
  }
}

float QuantizeRow(int8_t* target, const float* row, uint64_t count) {
  const uint64_t whole = count - count % kLanes;
  Vec most = Zero(), check = Zero();  // Max loses NaNs: 0 times what is no number is not 0
  const auto measure = [&](Vec x) {
    most = Max(Max(x, Zero() - x), most);
    check = MulAdd(x, Zero(), check);
  };
  for (uint64_t i = 0; i < whole; i += kLanes) measure(Load(row + i));
  if (whole < count) measure(LoadPart<F32>(row + whole, count - whole));
  if (Sum(check) != 0) return __builtin_nanf("");
  float lanes[kLanes], largest = 0;
  Store(lanes, most);
  for (int lane = 0; lane < kLanes; ++lane) largest = lanes[lane] > largest ? lanes[lane] : largest;

  const float scale = largest / 127;
  // All zero, or so small that the scale is not a number of full precision: then nothing is lost worth keeping.
  if (scale < 1e-37f) {
    __builtin_memset(target, 0, count);
    return 0;
  }
  for (uint64_t i = 0; i < count; i += kLanes) {
    const uint64_t part = count - i < (uint64_t)kLanes ? count - i : kLanes;
    const Vec x = part == kLanes ? Load(row + i) : LoadPart<F32>(row + i, part);
    Store(lanes, Max(Splat(-127.0f), Min(Splat(127.0f), Round(x / Splat(scale)))));
    for (uint64_t lane = 0; lane < part; ++lane) target[i + lane] = (int8_t)lanes[lane];
  }
  return scale;
}

// ---------------------------------------------------------------------------------------------------------------------
// Over the vocabulary

uint64_t ArgMax(const float* values, uint64_t count) {
  const uint64_t whole = count - count % kLanes;
  Vec best = Splat(-__builtin_inff());
  for (uint64_t i = 0; i < whole; i += kLanes) best = Max(Load(values + i), best);
  float lanes[kLanes];
  Store(lanes, best);
  float most = -__builtin_inff();
  for (int lane = 0; lane < kLanes; ++lane) most = lanes[lane] > most ? lanes[lane] : most;
  for (uint64_t i = whole; i < count; ++i) most = values[i] > most ? values[i] : most;
  if (most == -__builtin_inff()) return count;
  uint64_t index = 0;
  while (values[index] != most) ++index;
  return index;
}

double ExpSum(const float* values, uint64_t count, float shift, float scale, float* terms) {
  constexpr uint64_t kFlush = 64 * kLanes;  // float32 partial sums stay short
  double total = 0;
  for (uint64_t begin = 0; begin < count; begin += kFlush) {
    const uint64_t end = begin + kFlush < count ? begin + kFlush : count;
    Vec sum = Zero();
    uint64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const Vec term = Exp((Load(values + i) - Splat(shift)) * Splat(scale));
      if (terms != nullptr) Store(terms + i, term);
      sum = sum + term;
    }
    total += Sum(sum);
    if (i < end) {
      float part[kLanes];
      Store(part, Exp((LoadPart<F32>(values + i, end - i) - Splat(shift)) * Splat(scale)));
      for (int lane = 0; i < end; ++i, ++lane) {
        if (terms != nullptr) terms[i] = part[lane];
        total += part[lane];
      }
    }
  }
  return total;
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {KERNELS_ISA, MatMul, RmsNorm, Rope, SiluMultiply, Attention, Convert, QuantizeRow, ArgMax, ExpSum};

}  // namespace KERNELS_NAMESPACE
}  // namespace tideline
