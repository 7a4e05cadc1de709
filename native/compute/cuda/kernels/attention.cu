// Causal attention of whole sequences, forward and backward, tile by tile in shared memory (FlashAttention-2, Dao 2023):
// scores exist for one tile at a time, and the backward pass finds the probabilities again from the logarithm of each
// softmax's sum. Gradients of keys and values have a block to themselves, as those of queries have, so nothing is added by
// two blocks and the order of every sum is fixed.
//
// 16 x 16 threads share a tile: thread (y, x) has the rows y + 16 i and the columns x + 16 j of a product, and of what is
// head_dim wide the columns 4 x + 64 k to 4 x + 64 k + 3.
#include "compute/cuda/kernels/kernel.h"
#include "compute/cuda/kernels/sequence_tile.h"

namespace tideline::cuda {

__device__ inline unsigned ThreadRow() { return threadIdx.x / 16; }
__device__ inline unsigned ThreadColumn() { return threadIdx.x % 16; }

// Rows of one head into shared memory; zero beyond `rows` and beyond head_dim.
template <unsigned kTile>
__device__ inline void LoadHead(float* tile, const float* source, uint32_t source_stride, uint32_t rows,
                                uint32_t head_dim, float scale = 1.0f) {
  const unsigned stride = TileStride(head_dim);
  for (unsigned at = threadIdx.x; at < kTile * stride; at += kAttentionThreads) {
    const unsigned row = at / stride, d = at % stride;
    tile[at] = row < rows && d < head_dim ? source[uint64_t{row} * source_stride + d] * scale : 0.0f;
  }
}

// product[i][j] = row i of a times row j of b, both head_dim wide
template <unsigned kEach>
__device__ inline void MultiplyTransposed(float (&product)[kEach][kEach], const float* a, const float* b,
                                          uint32_t head_dim) {
  const unsigned stride = TileStride(head_dim);
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) {
#pragma unroll
    for (unsigned j = 0; j < kEach; ++j) product[i][j] = 0;
  }
  for (unsigned d = 0; d < head_dim; d += 4) {
    float4 as[kEach], bs[kEach];
#pragma unroll
    for (unsigned i = 0; i < kEach; ++i) {
      as[i] = *reinterpret_cast<const float4*>(a + (ThreadRow() + 16 * i) * stride + d);
      bs[i] = *reinterpret_cast<const float4*>(b + (ThreadColumn() + 16 * i) * stride + d);
    }
#pragma unroll
    for (unsigned i = 0; i < kEach; ++i) {
#pragma unroll
      for (unsigned j = 0; j < kEach; ++j) {
        product[i][j] += as[i].x * bs[j].x;
        product[i][j] += as[i].y * bs[j].y;
        product[i][j] += as[i].z * bs[j].z;
        product[i][j] += as[i].w * bs[j].w;
      }
    }
  }
}

// sums[i] += row i of a (kTile wide), or with kTransposed column i of it, times b (kTile rows, head_dim wide)
template <unsigned kTile, bool kTransposed, unsigned kEach, unsigned kFours>
__device__ inline void AddProduct(float4 (&sums)[kEach][kFours], const float* a, const float* b, uint32_t head_dim) {
  const unsigned stride = TileStride(head_dim);
  for (unsigned step = 0; step < kTile; ++step) {
    float as[kEach];
#pragma unroll
    for (unsigned i = 0; i < kEach; ++i) {
      const unsigned row = ThreadRow() + 16 * i;
      as[i] = a[kTransposed ? step * (kTile + 1) + row : row * (kTile + 1) + step];
    }
#pragma unroll
    for (unsigned k = 0; k < kFours; ++k) {
      const unsigned d = 4 * ThreadColumn() + 64 * k;
      if (d >= head_dim) break;
      const float4 bs = *reinterpret_cast<const float4*>(b + step * stride + d);
#pragma unroll
      for (unsigned i = 0; i < kEach; ++i) {
        sums[i][k].x += as[i] * bs.x;
        sums[i][k].y += as[i] * bs.y;
        sums[i][k].z += as[i] * bs.z;
        sums[i][k].w += as[i] * bs.w;
      }
    }
  }
}

// This thread's elements of a tile that is kTile + 1 wide in shared memory.
template <unsigned kTile, unsigned kEach>
__device__ inline void StoreTile(float* tile, const float (&elements)[kEach][kEach]) {
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) {
#pragma unroll
    for (unsigned j = 0; j < kEach; ++j) {
      tile[(ThreadRow() + 16 * i) * (kTile + 1) + ThreadColumn() + 16 * j] = elements[i][j];
    }
  }
}

// Rows of one head back to where they lie, each times factors[i].
template <unsigned kEach, unsigned kFours>
__device__ inline void WriteHead(float* target, uint32_t target_stride, uint32_t rows, uint32_t head_dim,
                                 const float4 (&sums)[kEach][kFours], const float (&factors)[kEach]) {
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) {
    const unsigned row = ThreadRow() + 16 * i;
    if (row >= rows) continue;
#pragma unroll
    for (unsigned k = 0; k < kFours; ++k) {
      const unsigned d = 4 * ThreadColumn() + 64 * k;
      const float four[4] = {sums[i][k].x, sums[i][k].y, sums[i][k].z, sums[i][k].w};
#pragma unroll
      for (unsigned e = 0; e < 4; ++e) {
        if (d + e < head_dim) target[uint64_t{row} * target_stride + d + e] = four[e] * factors[i];
      }
    }
  }
}

// Threads of a block that have the same rows.
constexpr unsigned kRowLanes = 16;

// A grid of (tiles, heads): the outputs and log-sums of one tile of queries.
template <unsigned kTile, unsigned kFours>
__device__ inline void Forward(const AttentionArgs& args) {
  constexpr unsigned kEach = kTile / 16;
  const SequenceTile tile = args.tiles[blockIdx.x];
  const uint32_t head = blockIdx.y, kv_head = head / (args.heads / args.kv_heads), dim = args.head_dim;
  const uint32_t rows = RowsIn(tile, tile.first, kTile), key_column = (args.heads + kv_head) * dim;
  TIDELINE_DYNAMIC_SHARED(shared);
  float* queries = shared;
  float* keys_or_values = queries + kTile * TileStride(dim);
  float* probabilities = keys_or_values + kTile * TileStride(dim);
  LoadHead<kTile>(queries, args.qkv + uint64_t{tile.first} * args.qkv_stride + head * dim, args.qkv_stride, rows, dim,
                  args.scale);
  float largest[kEach], sums[kEach] = {};
  float4 weighted[kEach][kFours] = {};
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) largest[i] = -INFINITY;

  for (uint32_t first_key = tile.begin; first_key < tile.first + rows; first_key += kTile) {
    const float* key_rows = args.qkv + uint64_t{first_key} * args.qkv_stride + key_column;
    const uint32_t keys = RowsIn(tile, first_key, kTile);
    LoadHead<kTile>(keys_or_values, key_rows, args.qkv_stride, keys, dim);
    __syncthreads();
    float scores[kEach][kEach];
    MultiplyTransposed(scores, queries, keys_or_values, dim);
#pragma unroll
    for (unsigned i = 0; i < kEach; ++i) {
      const uint32_t query = tile.first + ThreadRow() + 16 * i;
      float most = -INFINITY;
#pragma unroll
      for (unsigned j = 0; j < kEach; ++j) {
        if (first_key + ThreadColumn() + 16 * j > query) scores[i][j] = -INFINITY;
        most = fmaxf(most, scores[i][j]);
      }
      // The first tile has the sequence's first row, which everyone sees: `larger` is a number from there on.
      const float larger = fmaxf(largest[i], LaneMax<kRowLanes>(most)), correction = expf(largest[i] - larger);
      float sum = 0;
#pragma unroll
      for (unsigned j = 0; j < kEach; ++j) {
        scores[i][j] = expf(scores[i][j] - larger);
        sum += scores[i][j];
      }
      largest[i] = larger;
      sums[i] = sums[i] * correction + LaneSum<kRowLanes>(sum);
#pragma unroll
      for (unsigned k = 0; k < kFours; ++k) {
        weighted[i][k].x *= correction;
        weighted[i][k].y *= correction;
        weighted[i][k].z *= correction;
        weighted[i][k].w *= correction;
      }
    }
    StoreTile<kTile>(probabilities, scores);
    __syncthreads();
    LoadHead<kTile>(keys_or_values, key_rows + args.kv_heads * dim, args.qkv_stride, keys, dim);
    __syncthreads();
    AddProduct<kTile, false>(weighted, probabilities, keys_or_values, dim);
    __syncthreads();
  }

  float inverse_sums[kEach];
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) {
    inverse_sums[i] = 1.0f / sums[i];
    const unsigned row = ThreadRow() + 16 * i;
    if (row >= rows || ThreadColumn() != 0) continue;
    args.log_sums[uint64_t{tile.first + row} * args.heads + head] = largest[i] + logf(sums[i]);
  }
  const uint32_t q_size = args.heads * dim;
  WriteHead(args.output + uint64_t{tile.first} * q_size + head * dim, q_size, rows, dim, weighted, inverse_sums);
}

// ---------------------------------------------------------------------------------------------------------------------
// Backward. What a softmax's gradient is less by, d_output . output of each (row, head), first: it lies where the first
// number of that query's gradient will.

// A warp takes one (row, head) pair.
TIDELINE_KERNEL(attention_shift, AttentionArgs, kAttentionThreads) {
  const uint64_t vector = uint64_t{blockIdx.x} * (kAttentionThreads / kWarp) + Warp();
  const uint64_t row = vector / args.heads, head = vector % args.heads;
  if (row >= args.rows) return;  // the whole warp
  float sum = 0;
  for (uint32_t d = Lane(); d < args.head_dim; d += kWarp) {
    sum += args.d_output[vector * args.head_dim + d] * args.output[vector * args.head_dim + d];
  }
  sum = WarpSum(sum);
  if (Lane() == 0) args.d_qkv[row * args.qkv_stride + head * args.head_dim] = sum;
}

// The tiles of queries and keys that both backward kernels hold, and what a query needs to find its probabilities.
template <unsigned kTile>
struct BackwardTiles {
  float *queries, *d_outputs, *keys, *values, *products;
  float *log_sums, *shifts;  // (kTile)

  __device__ BackwardTiles(float* shared, uint32_t dim) {
    const unsigned size = kTile * TileStride(dim);
    queries = shared;
    d_outputs = queries + size;
    keys = d_outputs + size;
    values = keys + size;
    products = values + size;
    log_sums = products + kTile * (kTile + 1);
    shifts = log_sums + kTile;
  }

  __device__ void LoadQueries(const AttentionArgs& args, uint32_t first, uint32_t rows, uint32_t head) {
    const uint32_t dim = args.head_dim, q_size = args.heads * dim;
    LoadHead<kTile>(queries, args.qkv + uint64_t{first} * args.qkv_stride + head * dim, args.qkv_stride, rows, dim);
    LoadHead<kTile>(d_outputs, args.d_output + uint64_t{first} * q_size + head * dim, q_size, rows, dim);
    for (unsigned row = threadIdx.x; row < kTile; row += kAttentionThreads) {
      log_sums[row] = row < rows ? args.log_sums[uint64_t{first + row} * args.heads + head] : 0.0f;
      shifts[row] = row < rows ? args.d_qkv[uint64_t{first + row} * args.qkv_stride + head * dim] : 0.0f;
    }
  }

  __device__ void LoadKeys(const AttentionArgs& args, uint32_t first, uint32_t rows, uint32_t kv_head) {
    const float* source = args.qkv + uint64_t{first} * args.qkv_stride + (args.heads + kv_head) * args.head_dim;
    LoadHead<kTile>(keys, source, args.qkv_stride, rows, args.head_dim);
    LoadHead<kTile>(values, source + args.kv_heads * args.head_dim, args.qkv_stride, rows, args.head_dim);
  }

  // Probabilities of queries x keys, and the gradients of their scores.
  template <unsigned kEach>
  __device__ void Probabilities(const AttentionArgs& args, uint32_t first_query, uint32_t query_rows, uint32_t first_key,
                                float (&probabilities)[kEach][kEach], float (&d_scores)[kEach][kEach]) const {
    MultiplyTransposed(probabilities, queries, keys, args.head_dim);
    MultiplyTransposed(d_scores, d_outputs, values, args.head_dim);
#pragma unroll
    for (unsigned i = 0; i < kEach; ++i) {
      const unsigned row = ThreadRow() + 16 * i;
#pragma unroll
      for (unsigned j = 0; j < kEach; ++j) {
        const bool visible = row < query_rows && first_key + ThreadColumn() + 16 * j <= first_query + row;
        const float probability = visible ? expf(probabilities[i][j] * args.scale - log_sums[row]) : 0.0f;
        probabilities[i][j] = probability;
        d_scores[i][j] = probability * (d_scores[i][j] - shifts[row]) * args.scale;
      }
    }
  }
};

// A grid of (tiles, kv_heads): the gradients of one tile of keys and values, from every query head that shares them.
template <unsigned kTile, unsigned kFours>
__device__ inline void BackwardKeys(const AttentionArgs& args) {
  constexpr unsigned kEach = kTile / 16;
  const SequenceTile tile = args.tiles[blockIdx.x];
  const uint32_t kv_head = blockIdx.y, group = args.heads / args.kv_heads, dim = args.head_dim;
  const uint32_t keys = RowsIn(tile, tile.first, kTile);
  TIDELINE_DYNAMIC_SHARED(shared);
  BackwardTiles<kTile> tiles(shared, dim);
  tiles.LoadKeys(args, tile.first, keys, kv_head);
  float4 d_keys[kEach][kFours] = {}, d_values[kEach][kFours] = {};
  for (uint32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (uint32_t first = tile.first; first < tile.end; first += kTile) {
      const uint32_t rows = RowsIn(tile, first, kTile);
      tiles.LoadQueries(args, first, rows, head);
      __syncthreads();
      float probabilities[kEach][kEach], d_scores[kEach][kEach];
      tiles.Probabilities(args, first, rows, tile.first, probabilities, d_scores);
      StoreTile<kTile>(tiles.products, probabilities);
      __syncthreads();
      AddProduct<kTile, true>(d_values, tiles.products, tiles.d_outputs, dim);
      __syncthreads();
      StoreTile<kTile>(tiles.products, d_scores);
      __syncthreads();
      AddProduct<kTile, true>(d_keys, tiles.products, tiles.queries, dim);
      __syncthreads();
    }
  }
  float ones[kEach];
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) ones[i] = 1.0f;
  float* target = args.d_qkv + uint64_t{tile.first} * args.qkv_stride + (args.heads + kv_head) * dim;
  WriteHead(target, args.qkv_stride, keys, dim, d_keys, ones);
  WriteHead(target + args.kv_heads * dim, args.qkv_stride, keys, dim, d_values, ones);
}

// A grid of (tiles, heads): the gradients of one tile of queries. After BackwardKeys, which still needs the shifts.
template <unsigned kTile, unsigned kFours>
__device__ inline void BackwardQueries(const AttentionArgs& args) {
  constexpr unsigned kEach = kTile / 16;
  const SequenceTile tile = args.tiles[blockIdx.x];
  const uint32_t head = blockIdx.y, kv_head = head / (args.heads / args.kv_heads), dim = args.head_dim;
  const uint32_t rows = RowsIn(tile, tile.first, kTile);
  TIDELINE_DYNAMIC_SHARED(shared);
  BackwardTiles<kTile> tiles(shared, dim);
  tiles.LoadQueries(args, tile.first, rows, head);
  float4 d_queries[kEach][kFours] = {};
  for (uint32_t first_key = tile.begin; first_key < tile.first + rows; first_key += kTile) {
    tiles.LoadKeys(args, first_key, RowsIn(tile, first_key, kTile), kv_head);
    __syncthreads();
    float probabilities[kEach][kEach], d_scores[kEach][kEach];
    tiles.Probabilities(args, tile.first, rows, first_key, probabilities, d_scores);
    StoreTile<kTile>(tiles.products, d_scores);
    __syncthreads();
    AddProduct<kTile, false>(d_queries, tiles.products, tiles.keys, dim);
    __syncthreads();
  }
  float ones[kEach];
#pragma unroll
  for (unsigned i = 0; i < kEach; ++i) ones[i] = 1.0f;
  WriteHead(args.d_qkv + uint64_t{tile.first} * args.qkv_stride + head * dim, args.qkv_stride, rows, dim, d_queries, ones);
}

// By head_dim, up to 64, 128 and 256.
TIDELINE_KERNEL(attention_forward_64, AttentionArgs, kAttentionThreads) { Forward<ForwardTile(64), 1>(args); }
TIDELINE_KERNEL(attention_forward_128, AttentionArgs, kAttentionThreads) { Forward<ForwardTile(128), 2>(args); }
TIDELINE_KERNEL(attention_forward_256, AttentionArgs, kAttentionThreads) { Forward<ForwardTile(256), 4>(args); }
TIDELINE_KERNEL(attention_backward_keys_64, AttentionArgs, kAttentionThreads) { BackwardKeys<BackwardTile(64), 1>(args); }
TIDELINE_KERNEL(attention_backward_keys_128, AttentionArgs, kAttentionThreads) { BackwardKeys<BackwardTile(128), 2>(args); }
TIDELINE_KERNEL(attention_backward_keys_256, AttentionArgs, kAttentionThreads) { BackwardKeys<BackwardTile(256), 4>(args); }
TIDELINE_KERNEL(attention_backward_queries_64, AttentionArgs, kAttentionThreads) {
  BackwardQueries<BackwardTile(64), 1>(args);
}
TIDELINE_KERNEL(attention_backward_queries_128, AttentionArgs, kAttentionThreads) {
  BackwardQueries<BackwardTile(128), 2>(args);
}
TIDELINE_KERNEL(attention_backward_queries_256, AttentionArgs, kAttentionThreads) {
  BackwardQueries<BackwardTile(256), 4>(args);
}

}  // namespace tideline::cuda
