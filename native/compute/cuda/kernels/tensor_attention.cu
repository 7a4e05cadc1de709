// The attention of attention.cu beside weights of 16 bits, where its products are rounded to TF32: the same tiles and order,
// on tensor cores. A warp has 16 rows of a tile for itself. Scores stay in its registers: as they lie there as a product, each
// thread holds rows of them at columns 2 c and 2 c + 1, which are taken for the columns c and c + 4 of the next product's first
// matrix by reading the rows of its second one in that order.
#include "compute/cuda/kernels/sequence_tile.h"
#include "compute/cuda/kernels/tensor_cores.h"

namespace tideline::cuda {

// Exponentials are powers of two, which is what the hardware has.
inline constexpr float kLog2OfE = 1.44269504f;

// Rows of one head into shared memory; zero beyond `rows` and beyond head_dim.
template <unsigned kRows, unsigned kDim>
__device__ inline void LoadRounded(float* tile, const float* source, uint32_t source_stride, uint32_t rows, uint32_t head_dim,
                                   float scale = 1.0f) {
  for (unsigned at = threadIdx.x; at < kRows * kDim / 4; at += kTensorThreads) {
    const unsigned row = at / (kDim / 4), d = at % (kDim / 4) * 4;
    float4 four = {0, 0, 0, 0};
    if (row < rows && d < head_dim) four = *reinterpret_cast<const float4*>(source + uint64_t{row} * source_stride + d);
    *reinterpret_cast<float4*>(tile + row * TensorStride(kDim) + d) = {ToTf32(four.x * scale), ToTf32(four.y * scale),
                                                                       ToTf32(four.z * scale), ToTf32(four.w * scale)};
  }
}

// products (16, 8 kBlocks) = 16 rows of a times the rows of b, both kDim wide
template <unsigned kDim, unsigned kBlocks>
__device__ inline void MultiplyRows(float (&products)[kBlocks][4], const float* a, const float* b) {
  constexpr unsigned kStride = TensorStride(kDim);
#pragma unroll
  for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
    for (unsigned e = 0; e < 4; ++e) products[block][e] = 0;
  }
  // Pieces of a: rows 0 and 8 of columns 0, then of columns 4. Of b: columns 0 and 4 of rows 0, then of rows 8.
  const unsigned piece = Lane() / 8, row = Lane() % 8;
  const float* a_own = a + (piece % 2 * 8 + row) * kStride + piece / 2 * 4;
  const float* b_own = b + (piece / 2 * 8 + row) * kStride + piece % 2 * 4;
#pragma unroll
  for (unsigned d = 0; d < kDim; d += 8) {
    float as[4];
    LoadPieces(as, a_own + d);
#pragma unroll
    for (unsigned block = 0; block < kBlocks; block += 2) {
      float bs[4];
      LoadPieces(bs, b_own + 8 * block * kStride + d);
      MultiplyAdd(products[block], as, {bs[0], bs[1]});
      MultiplyAdd(products[block + 1], as, {bs[2], bs[3]});
    }
  }
}

// sums (16, kDim) += factors (16, 8 kBlocks) times as many rows of b, kDim wide
template <unsigned kDim, unsigned kBlocks>
__device__ inline void AddRows(float (&sums)[kDim / 8][4], const float (&factors)[kBlocks][4], const float* b) {
  constexpr unsigned kStride = TensorStride(kDim);
#pragma unroll
  for (unsigned block = 0; block < kBlocks; ++block) {
    const float as[4] = {ToTf32(factors[block][0]), ToTf32(factors[block][2]), ToTf32(factors[block][1]),
                         ToTf32(factors[block][3])};
    const float* two_rows = b + (8 * block + 2 * FragmentColumn()) * kStride + FragmentRow();
#pragma unroll
    for (unsigned d = 0; d < kDim; d += 8) {
      const float bs[2] = {two_rows[d], two_rows[kStride + d]};
      MultiplyAdd(sums[d / 8], as, bs);
    }
  }
}

// A warp's 16 rows back to where they lie, each of a thread's two times its factor.
template <unsigned kDim>
__device__ inline void WriteRows(float* target, uint32_t target_stride, uint32_t rows, uint32_t head_dim,
                                 const float (&sums)[kDim / 8][4], float first_factor = 1.0f, float second_factor = 1.0f) {
#pragma unroll
  for (unsigned half = 0; half < 2; ++half) {
    const unsigned row = Warp() * 16 + 8 * half + FragmentRow();
    if (row >= rows) continue;
    const float factor = half == 0 ? first_factor : second_factor;
#pragma unroll
    for (unsigned d = 0; d < kDim; d += 8) {
      if (d >= head_dim) break;
      float* at = target + uint64_t{row} * target_stride + d + 2 * FragmentColumn();
      at[0] = sums[d / 8][2 * half] * factor;
      at[1] = sums[d / 8][2 * half + 1] * factor;
    }
  }
}

// Threads of a warp that have the same rows of a fragment.
constexpr unsigned kFragmentLanes = 4;

// A grid of (tiles, heads): the outputs and log-sums of one tile of queries.
template <unsigned kDim>
__device__ inline void TensorForward(const AttentionArgs& args) {
  constexpr unsigned kBlocks = kTensorTile / 8;
  const SequenceTile tile = args.tiles[blockIdx.x];
  const uint32_t head = blockIdx.y, kv_head = head / (args.heads / args.kv_heads), dim = args.head_dim;
  const uint32_t rows = RowsIn(tile, tile.first, kTensorTile), key_column = (args.heads + kv_head) * dim;
  TIDELINE_DYNAMIC_SHARED(shared);
  float* queries = shared;
  float* keys = queries + kTensorTile * TensorStride(kDim);
  float* values = keys + kTensorTile * TensorStride(kDim);
  LoadRounded<kTensorTile, kDim>(queries, args.qkv + uint64_t{tile.first} * args.qkv_stride + head * dim, args.qkv_stride,
                                 rows, dim, args.scale * kLog2OfE);
  float largest[2] = {-INFINITY, -INFINITY}, sums[2] = {0, 0}, weighted[kDim / 8][4] = {};
  const uint32_t first_query = tile.first + Warp() * 16 + FragmentRow();

  for (uint32_t first_key = tile.begin; first_key < tile.first + rows; first_key += kTensorTile) {
    const float* key_rows = args.qkv + uint64_t{first_key} * args.qkv_stride + key_column;
    const uint32_t count = RowsIn(tile, first_key, kTensorTile);
    LoadRounded<kTensorTile, kDim>(keys, key_rows, args.qkv_stride, count, dim);
    LoadRounded<kTensorTile, kDim>(values, key_rows + args.kv_heads * dim, args.qkv_stride, count, dim);
    __syncthreads();
    float scores[kBlocks][4];
    MultiplyRows<kDim>(scores, queries + Warp() * 16 * TensorStride(kDim), keys);
    if (first_key + kTensorTile > tile.first) {  // else all are visible
#pragma unroll
      for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) {
          if (first_key + 8 * block + 2 * FragmentColumn() + e % 2 > first_query + 8 * (e / 2)) scores[block][e] = -INFINITY;
        }
      }
    }
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
      float most = -INFINITY;
#pragma unroll
      for (unsigned block = 0; block < kBlocks; ++block) {
        most = fmaxf(most, fmaxf(scores[block][2 * half], scores[block][2 * half + 1]));
      }
      // The first tile has the sequence's first row, which everyone sees: `larger` is a number from there on.
      const float larger = fmaxf(largest[half], LaneMax<kFragmentLanes>(most)), correction = Exp2(largest[half] - larger);
      float sum = 0;
#pragma unroll
      for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
        for (unsigned e = 0; e < 2; ++e) {
          float& score = scores[block][2 * half + e];
          score = Exp2(score - larger);
          sum += score;
        }
      }
      largest[half] = larger;
      sums[half] = sums[half] * correction + LaneSum<kFragmentLanes>(sum);
#pragma unroll
      for (unsigned d = 0; d < kDim / 8; ++d) {
        weighted[d][2 * half] *= correction;
        weighted[d][2 * half + 1] *= correction;
      }
    }
    AddRows<kDim>(weighted, scores, values);
    __syncthreads();
  }

#pragma unroll
  for (unsigned half = 0; half < 2; ++half) {
    const unsigned row = Warp() * 16 + 8 * half + FragmentRow();
    if (row >= rows || FragmentColumn() != 0) continue;
    args.log_sums[uint64_t{tile.first + row} * args.heads + head] = largest[half] / kLog2OfE + logf(sums[half]);
  }
  const uint32_t q_size = args.heads * dim;
  WriteRows<kDim>(args.output + uint64_t{tile.first} * q_size + head * dim, q_size, rows, dim, weighted, 1.0f / sums[0],
                  1.0f / sums[1]);
}

// ---------------------------------------------------------------------------------------------------------------------
// Backward, after attention_shift

// kRows queries of one head with the gradients of their outputs, and what finds their probabilities; log-sums to base 2.
template <unsigned kRows, unsigned kDim>
__device__ inline void LoadQueries(const AttentionArgs& args, uint32_t first, uint32_t rows, uint32_t head, float* queries,
                                   float* d_outputs, float* log_sums, float* shifts) {
  const uint32_t dim = args.head_dim, q_size = args.heads * dim;
  LoadRounded<kRows, kDim>(queries, args.qkv + uint64_t{first} * args.qkv_stride + head * dim, args.qkv_stride, rows, dim);
  LoadRounded<kRows, kDim>(d_outputs, args.d_output + uint64_t{first} * q_size + head * dim, q_size, rows, dim);
  for (unsigned row = threadIdx.x; row < kRows; row += kTensorThreads) {
    log_sums[row] = row < rows ? args.log_sums[uint64_t{first + row} * args.heads + head] * kLog2OfE : 0.0f;
    shifts[row] = row < rows ? args.d_qkv[uint64_t{first + row} * args.qkv_stride + head * dim] : 0.0f;
  }
}

template <unsigned kRows, unsigned kDim>
__device__ inline void LoadKeys(const AttentionArgs& args, uint32_t first, uint32_t rows, uint32_t kv_head, float* keys,
                                float* values) {
  const float* source = args.qkv + uint64_t{first} * args.qkv_stride + (args.heads + kv_head) * args.head_dim;
  LoadRounded<kRows, kDim>(keys, source, args.qkv_stride, rows, args.head_dim);
  LoadRounded<kRows, kDim>(values, source + args.kv_heads * args.head_dim, args.qkv_stride, rows, args.head_dim);
}

// A grid of (tiles, kv_heads * parts): the gradients of one tile of keys and values, from a part of the query heads that share
// them. Products are of (keys, queries).
template <unsigned kDim>
__device__ inline void TensorBackwardKeys(const AttentionArgs& args) {
  constexpr unsigned kBlocks = kTensorOther / 8;
  const SequenceTile tile = args.tiles[blockIdx.x];
  const uint32_t kv_head = blockIdx.y / args.parts, part = blockIdx.y % args.parts, group = args.heads / args.kv_heads;
  const uint32_t rows = RowsIn(tile, tile.first, kTensorTile), dim = args.head_dim, kv_size = args.kv_heads * dim;
  TIDELINE_DYNAMIC_SHARED(shared);
  float* keys = shared;
  float* values = keys + kTensorTile * TensorStride(kDim);
  float* queries = values + kTensorTile * TensorStride(kDim);
  float* d_outputs = queries + kTensorOther * TensorStride(kDim);
  float* log_sums = d_outputs + kTensorOther * TensorStride(kDim);
  float* shifts = log_sums + kTensorOther;
  LoadKeys<kTensorTile, kDim>(args, tile.first, rows, kv_head, keys, values);
  const float scale = args.scale * kLog2OfE;
  float d_keys[kDim / 8][4] = {}, d_values[kDim / 8][4] = {};  // of scores that are not scaled yet
  const unsigned own = Warp() * 16 * TensorStride(kDim);
  const uint32_t first_key = tile.first + Warp() * 16 + FragmentRow();

  const uint32_t last_head = kv_head * group + (part + 1) * group / args.parts;
  for (uint32_t head = kv_head * group + part * group / args.parts; head < last_head; ++head) {
    for (uint32_t first = tile.first; first < tile.end; first += kTensorOther) {
      const uint32_t count = RowsIn(tile, first, kTensorOther);
      LoadQueries<kTensorOther, kDim>(args, first, count, head, queries, d_outputs, log_sums, shifts);
      __syncthreads();
      float probabilities[kBlocks][4], d_scores[kBlocks][4];
      MultiplyRows<kDim>(probabilities, keys + own, queries);
      MultiplyRows<kDim>(d_scores, values + own, d_outputs);
      if (first < tile.first + kTensorTile || count < kTensorOther) {  // else all are visible
#pragma unroll
        for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
          for (unsigned e = 0; e < 4; ++e) {
            const unsigned query = 8 * block + 2 * FragmentColumn() + e % 2;
            if (query >= count || first_key + 8 * (e / 2) > first + query) probabilities[block][e] = -INFINITY;
          }
        }
      }
#pragma unroll
      for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) {
          const unsigned query = 8 * block + 2 * FragmentColumn() + e % 2;
          const float probability = Exp2(probabilities[block][e] * scale - log_sums[query]);
          probabilities[block][e] = probability;
          d_scores[block][e] = probability * (d_scores[block][e] - shifts[query]);
        }
      }
      AddRows<kDim>(d_values, probabilities, d_outputs);
      AddRows<kDim>(d_keys, d_scores, queries);
      __syncthreads();
    }
  }

  const bool whole = args.parts == 1;
  const uint32_t stride = whole ? args.qkv_stride : 2 * kv_size;
  float* target = whole ? args.d_qkv + args.heads * dim : args.partials + uint64_t{part} * args.rows * stride;
  target += uint64_t{tile.first} * stride + kv_head * dim;
  WriteRows<kDim>(target, stride, rows, dim, d_keys, args.scale, args.scale);
  WriteRows<kDim>(target + kv_size, stride, rows, dim, d_values);
}

// A grid of (rows, columns / kTensorThreads): the parts of each gradient of keys and values, added in order.
TIDELINE_KERNEL(tensor_attention_sum_parts, AttentionArgs, kTensorThreads) {
  const uint32_t columns = 2 * args.kv_heads * args.head_dim, column = blockIdx.y * kTensorThreads + threadIdx.x;
  if (column >= columns) return;
  const float* partial = args.partials + uint64_t{blockIdx.x} * columns + column;
  float sum = 0;
  for (uint32_t part = 0; part < args.parts; ++part) sum += partial[uint64_t{part} * args.rows * columns];
  args.d_qkv[uint64_t{blockIdx.x} * args.qkv_stride + args.heads * args.head_dim + column] = sum;
}

// A grid of (tiles, heads): the gradients of one tile of queries. After TensorBackwardKeys, which still needs the shifts.
template <unsigned kDim>
__device__ inline void TensorBackwardQueries(const AttentionArgs& args) {
  constexpr unsigned kBlocks = kTensorOther / 8;
  const SequenceTile tile = args.tiles[blockIdx.x];
  const uint32_t head = blockIdx.y, kv_head = head / (args.heads / args.kv_heads), dim = args.head_dim;
  const uint32_t rows = RowsIn(tile, tile.first, kTensorTile);
  TIDELINE_DYNAMIC_SHARED(shared);
  float* queries = shared;
  float* d_outputs = queries + kTensorTile * TensorStride(kDim);
  float* keys = d_outputs + kTensorTile * TensorStride(kDim);
  float* values = keys + kTensorOther * TensorStride(kDim);
  float* log_sums = values + kTensorOther * TensorStride(kDim);
  float* shifts = log_sums + kTensorTile;
  LoadQueries<kTensorTile, kDim>(args, tile.first, rows, head, queries, d_outputs, log_sums, shifts);
  const float scale = args.scale * kLog2OfE;
  float d_queries[kDim / 8][4] = {};
  const unsigned own = Warp() * 16 * TensorStride(kDim), own_row = Warp() * 16 + FragmentRow();

  for (uint32_t first_key = tile.begin; first_key < tile.first + rows; first_key += kTensorOther) {
    LoadKeys<kTensorOther, kDim>(args, first_key, RowsIn(tile, first_key, kTensorOther), kv_head, keys, values);
    __syncthreads();
    float scores[kBlocks][4], d_scores[kBlocks][4];
    MultiplyRows<kDim>(scores, queries + own, keys);
    MultiplyRows<kDim>(d_scores, d_outputs + own, values);
    if (first_key + kTensorOther > tile.first) {  // else all are visible
#pragma unroll
      for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) {
          const uint32_t query = tile.first + own_row + 8 * (e / 2);
          if (first_key + 8 * block + 2 * FragmentColumn() + e % 2 > query) scores[block][e] = -INFINITY;
        }
      }
    }
#pragma unroll
    for (unsigned block = 0; block < kBlocks; ++block) {
#pragma unroll
      for (unsigned e = 0; e < 4; ++e) {
        const unsigned row = own_row + 8 * (e / 2);
        const float probability = Exp2(scores[block][e] * scale - log_sums[row]);
        d_scores[block][e] = probability * (d_scores[block][e] - shifts[row]);
      }
    }
    AddRows<kDim>(d_queries, d_scores, keys);
    __syncthreads();
  }
  WriteRows<kDim>(args.d_qkv + uint64_t{tile.first} * args.qkv_stride + head * dim, args.qkv_stride, rows, dim, d_queries,
                  args.scale, args.scale);
}

// By head_dim, up to 64 and 128.
TIDELINE_KERNEL(tensor_attention_forward_64, AttentionArgs, kTensorThreads) { TensorForward<64>(args); }
TIDELINE_KERNEL(tensor_attention_forward_128, AttentionArgs, kTensorThreads) { TensorForward<128>(args); }
TIDELINE_KERNEL(tensor_attention_backward_keys_64, AttentionArgs, kTensorThreads) { TensorBackwardKeys<64>(args); }
TIDELINE_KERNEL(tensor_attention_backward_keys_128, AttentionArgs, kTensorThreads) { TensorBackwardKeys<128>(args); }
TIDELINE_KERNEL(tensor_attention_backward_queries_64, AttentionArgs, kTensorThreads) { TensorBackwardQueries<64>(args); }
TIDELINE_KERNEL(tensor_attention_backward_queries_128, AttentionArgs, kTensorThreads) { TensorBackwardQueries<128>(args); }

}  // namespace tideline::cuda
