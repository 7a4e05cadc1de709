// Work that goes through rows element by element, and sums down columns.
#include "compute/cuda/kernels/fours.h"

namespace tideline::cuda {

// Grids of (rows, columns / kRowThreads).
__device__ inline uint32_t Column() { return blockIdx.y * kRowThreads + threadIdx.x; }

TIDELINE_KERNEL(embed, EmbedArgs, kRowThreads) {
  const uint32_t column = Column(), id = args.ids[blockIdx.x];
  if (column >= args.size) return;
  const float value = Load(args.weights, args.dtype, uint64_t{id} * args.size + column);
  args.hidden[uint64_t{blockIdx.x} * args.size + column] = args.scales ? value * args.scales[id] : value;
}

TIDELINE_KERNEL(embed_backward, EmbedBackwardArgs, kRowThreads) {
  const uint32_t column = Column();
  if (column >= args.size) return;
  float sum = 0;
  for (uint32_t at = args.first[blockIdx.x]; at < args.first[blockIdx.x + 1]; ++at) {
    sum += args.d_hidden[uint64_t{args.order[at]} * args.size + column];
  }
  const uint64_t target = uint64_t{args.ids[blockIdx.x]} * args.size + column;
  Store(args.d_embedding, args.dtype, target, Load(args.d_embedding, args.dtype, target) + sum);
}

TIDELINE_KERNEL(angles, AnglesArgs, kRowThreads) {
  const uint32_t pair = Column();
  if (pair >= args.half) return;
  const double angle = args.positions[blockIdx.x] * args.frequencies[pair];
  args.cosine[uint64_t{blockIdx.x} * args.half + pair] = static_cast<float>(cos(angle));
  args.sine[uint64_t{blockIdx.x} * args.half + pair] = static_cast<float>(sin(angle));
}

TIDELINE_KERNEL(gather_rows, GatherRowsArgs, kRowThreads) {
  const uint32_t column = Column();
  if (column >= args.columns) return;
  args.target[uint64_t{blockIdx.x} * args.columns + column] =
      args.source[uint64_t{args.rows[blockIdx.x]} * args.columns + column];
}

__device__ inline float SiluTimes(float gate, float up) { return gate / (1.0f + expf(-gate)) * up; }

// Where `wide`, a thread takes four columns: the grid is (rows, columns / 4 / kRowThreads).
TIDELINE_KERNEL(silu_multiply, SiluArgs, kRowThreads) {
  const uint32_t column = Column(), columns = args.wide ? args.size / 4 : args.size;
  if (column >= columns) return;
  const uint64_t gate = uint64_t{blockIdx.x} * 2 * columns + column, up = gate + columns;
  const uint64_t target = uint64_t{blockIdx.x} * columns + column;
  if (!args.wide) {
    args.output[target] = SiluTimes(args.gate_up[gate], args.gate_up[up]);
    return;
  }
  const float4 gates = LoadFour<DType::kF32>(args.gate_up, gate), ups = LoadFour<DType::kF32>(args.gate_up, up);
  StoreFour<DType::kF32>(args.output, target,
                         {SiluTimes(gates.x, ups.x), SiluTimes(gates.y, ups.y), SiluTimes(gates.z, ups.z),
                          SiluTimes(gates.w, ups.w)});
}

struct SiluSlopes {
  float gate, up;
};
__device__ inline SiluSlopes SiluBackward(float gate, float up, float d_output) {
  const float sigmoid = 1.0f / (1.0f + expf(-gate));
  return {d_output * up * sigmoid * (1.0f + gate * (1.0f - sigmoid)), d_output * gate * sigmoid};
}

TIDELINE_KERNEL(silu_multiply_backward, SiluBackwardArgs, kRowThreads) {
  const uint32_t column = Column(), columns = args.wide ? args.size / 4 : args.size;
  if (column >= columns) return;
  const uint64_t gate = uint64_t{blockIdx.x} * 2 * columns + column, up = gate + columns;
  const uint64_t source = uint64_t{blockIdx.x} * columns + column;
  if (!args.wide) {
    const SiluSlopes slopes = SiluBackward(args.gate_up[gate], args.gate_up[up], args.d_output[source]);
    args.d_gate_up[gate] = slopes.gate;
    args.d_gate_up[up] = slopes.up;
    return;
  }
  const float4 gates = LoadFour<DType::kF32>(args.gate_up, gate), ups = LoadFour<DType::kF32>(args.gate_up, up);
  const float4 d_outputs = LoadFour<DType::kF32>(args.d_output, source);
  const SiluSlopes x = SiluBackward(gates.x, ups.x, d_outputs.x), y = SiluBackward(gates.y, ups.y, d_outputs.y);
  const SiluSlopes z = SiluBackward(gates.z, ups.z, d_outputs.z), w = SiluBackward(gates.w, ups.w, d_outputs.w);
  StoreFour<DType::kF32>(args.d_gate_up, gate, {x.gate, y.gate, z.gate, w.gate});
  StoreFour<DType::kF32>(args.d_gate_up, up, {x.up, y.up, z.up, w.up});
}

TIDELINE_KERNEL(add_bias, AddBiasArgs, kRowThreads) {
  const uint32_t column = Column();
  if (column >= args.columns) return;
  float& y = args.y[uint64_t{blockIdx.x} * args.columns + column];
  const float bias = Load(args.bias, args.dtype, column);
  y = args.accumulate ? y + bias : bias;
}

TIDELINE_KERNEL(scale_columns, ScaleColumnsArgs, kRowThreads) {
  const uint32_t column = Column();
  if (column >= args.columns) return;
  float& y = args.y[uint64_t{blockIdx.x} * args.columns + column];
  const float scale = args.scales[column] == 0.0f ? 1.0f : args.scales[column];
  y = args.divide ? y / scale : y * scale + (args.bias ? args.bias[column] : 0.0f);
}

TIDELINE_KERNEL(outer_product, OuterProductArgs, kRowThreads) {
  const uint32_t column = Column();
  if (column >= args.size) return;
  args.target[uint64_t{blockIdx.x} * args.size + column] =
      args.factors[blockIdx.x] * Load(args.weight, args.dtype, column);
}

// A grid of (columns / kSumColumns, parts of the rows). A block's warps share its rows, and their sums are added in order.
TIDELINE_KERNEL(column_sums, ColumnSumsArgs, kSumThreads) {
  constexpr unsigned kParts = kSumThreads / kSumColumns;
  using Partials = float[kParts][kSumColumns];
  TIDELINE_SHARED(Partials, partials);
  const unsigned within = threadIdx.x % kSumColumns, part = threadIdx.x / kSumColumns;
  const uint32_t column = blockIdx.x * kSumColumns + within;
  const uint32_t begin = blockIdx.y * args.part_rows;
  const uint32_t end = args.rows - begin < args.part_rows ? args.rows : begin + args.part_rows;
  float sum = 0;
  if (column < args.columns) {
    for (uint32_t row = begin + part; row < end; row += kParts) {
      const uint64_t at = uint64_t{row} * args.columns + column;
      float value = args.values[at];
      if (args.others) value *= args.others[at];
      if (args.row_factors) value *= args.row_factors[row];
      sum += value;
    }
  }
  partials[part][within] = sum;
  __syncthreads();
  if (part > 0 || column >= args.columns) return;
  for (unsigned other = 1; other < kParts; ++other) sum += partials[other][within];
  if (args.partials) {
    args.partials[uint64_t{blockIdx.y} * args.columns + column] = sum;
  } else {
    Store(args.sum, args.sum_dtype, column, Load(args.sum, args.sum_dtype, column) + sum);
  }
}

// A block takes one row.
TIDELINE_KERNEL(row_products, RowProductsArgs, kRowThreads) {
  using Partials = float[kRowThreads / kWarp];
  TIDELINE_SHARED(Partials, partials);
  const float* input = args.input + uint64_t{blockIdx.x} * args.size;
  float sum = 0;
  for (uint32_t i = threadIdx.x; i < args.size; i += kRowThreads) sum += input[i] * Load(args.weight, args.dtype, i);
  sum = BlockSum<kRowThreads>(sum, partials);
  if (threadIdx.x == 0) args.values[blockIdx.x] = sum;
}

}  // namespace tideline::cuda
