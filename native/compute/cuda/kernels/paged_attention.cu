// Attention of a step's tokens over the paged KV cache (engine/kv_cache.h has its layout): keys and values go in, then each
// (row, head) pair attends to its sequence, kPagedTokens tokens at a time with a running softmax, so scores are never
// stored. Pairs that share a key head share one reading of it. A long context is split among blocks, whose parts a second
// kernel puts together.
#include "compute/cuda/kernels/kernel.h"

namespace tideline::cuda {

__device__ inline std::byte* BlockOf(const PagedCache& cache, const uint32_t* blocks, uint32_t token) {
  return cache.first + uint64_t{blocks[token / cache.block_tokens]} * cache.block_stride_bytes;
}
// Elements from the start of a block: keys (kv_heads, head_dim, block_tokens), then values (kv_heads, block_tokens, head_dim).
__device__ inline uint32_t KeyAt(const PagedCache& cache, uint32_t kv_head, uint32_t slot) {
  return kv_head * cache.head_dim * cache.block_tokens + slot;
}
__device__ inline uint32_t ValueAt(const PagedCache& cache, uint32_t kv_head, uint32_t slot) {
  return ((cache.kv_heads + kv_head) * cache.block_tokens + slot) * cache.head_dim;
}

// A grid of (rows, kv_size / kRowThreads).
TIDELINE_KERNEL(store_keys_values, StoreKeysValuesArgs, kRowThreads) {
  const PagedCache& cache = args.cache;
  const uint32_t row = blockIdx.x, column = blockIdx.y * kRowThreads + threadIdx.x;
  const uint32_t kv_size = cache.kv_heads * cache.head_dim;
  if (column >= kv_size) return;
  const uint32_t position = args.positions[row], slot = position % cache.block_tokens;
  const uint32_t kv_head = column / cache.head_dim, d = column % cache.head_dim;
  std::byte* block = BlockOf(cache, args.tables + args.row_tables[row], position);
  const float* key = args.qkv + uint64_t{row} * args.qkv_stride + args.q_size + column;
  Store(block, args.dtype, KeyAt(cache, kv_head, slot) + d * cache.block_tokens, key[0]);
  Store(block, args.dtype, ValueAt(cache, kv_head, slot) + d, key[kv_size]);
}

// A grid of (tiles, kv_heads * chunks, splits); kDim: head_dim rounded up to 64, 128 or 256.
template <DType kType, unsigned kDim>
__device__ inline void PagedAttention(const PagedAttentionArgs& args) {
  constexpr unsigned kWarps = kPagedThreads / kWarp, kPerWarp = kPagedQueries / kWarps;
  constexpr unsigned kPerThread = kPagedQueries * kDim / kPagedThreads;
  static_assert(kPagedTokens == kWarp);  // a lane scores one token
  const PagedCache& cache = args.cache;
  const StepTile tile = args.tiles[blockIdx.x];
  const uint32_t kv_head = blockIdx.y / args.chunks, group = args.heads / cache.kv_heads, dim = cache.head_dim;
  const uint32_t first_pair = blockIdx.y % args.chunks * kPagedQueries, all_pairs = tile.rows * group;
  if (first_pair >= all_pairs) return;
  const uint32_t pairs = all_pairs - first_pair < kPagedQueries ? all_pairs - first_pair : kPagedQueries;
  const auto row_of = [&](uint32_t pair) { return tile.first_row + (first_pair + pair) / group; };
  const auto head_of = [&](uint32_t pair) { return kv_head * group + (first_pair + pair) % group; };
  // Tokens that a pair attends to: its own and all before.
  const auto context_of = [&](uint32_t pair) { return tile.first_position + (first_pair + pair) / group + 1; };
  const uint32_t begin = blockIdx.z * args.split_tokens, most = context_of(pairs - 1);
  const uint32_t end = begin + args.split_tokens < most ? begin + args.split_tokens : most;

  TIDELINE_DYNAMIC_SHARED(shared);
  float* queries = shared;                              // (kPagedQueries, kDim)
  float* keys = queries + kPagedQueries * kDim;         // (kDim, kPagedTokens)
  float* values = keys + kPagedTokens * kDim;           // (kPagedTokens, kDim)
  float* probabilities = values + kPagedTokens * kDim;  // (kPagedQueries, kPagedTokens)
  float* corrections = probabilities + kPagedQueries * kPagedTokens;  // (kPagedQueries)
  // Where a token's block begins, and its slot there.
  auto* block_of = reinterpret_cast<const std::byte**>(corrections + kPagedQueries);  // (kPagedTokens)
  auto* slot_of = reinterpret_cast<uint32_t*>(block_of + kPagedTokens);               // (kPagedTokens)

#pragma unroll 1
  for (unsigned at = threadIdx.x; at < kPagedQueries * kDim; at += kPagedThreads) {
    const unsigned pair = at / kDim, d = at % kDim;
    const bool inside = pair < pairs && d < dim;
    queries[at] = inside ? args.qkv[uint64_t{row_of(pair)} * args.qkv_stride + head_of(pair) * dim + d] * args.scale : 0.0f;
  }
  float largest[kPerWarp], sums[kPerWarp] = {}, weighted[kPerThread] = {};
#pragma unroll
  for (unsigned i = 0; i < kPerWarp; ++i) largest[i] = -INFINITY;

  for (uint32_t first = begin; first < end; first += kPagedTokens) {
    __syncthreads();
    if (threadIdx.x < kPagedTokens) {
      const uint32_t token = first + threadIdx.x < end ? first + threadIdx.x : end - 1;
      block_of[threadIdx.x] = BlockOf(cache, args.tables + tile.table, token);
      slot_of[threadIdx.x] = token % cache.block_tokens;
    }
    __syncthreads();
#pragma unroll 8
    for (unsigned at = threadIdx.x; at < kPagedTokens * kDim; at += kPagedThreads) {
      const unsigned key_token = at % kPagedTokens, key_d = at / kPagedTokens;
      if (key_d < dim) {
        keys[at] = LoadAs<kType>(block_of[key_token],
                                 KeyAt(cache, kv_head, slot_of[key_token]) + key_d * cache.block_tokens);
      }
      const unsigned token = at / kDim, d = at % kDim;
      if (d < dim) values[at] = LoadAs<kType>(block_of[token], ValueAt(cache, kv_head, slot_of[token]) + d);
    }
    __syncthreads();
    float scores[kPerWarp] = {};
#pragma unroll 4
    for (unsigned d = 0; d < dim; ++d) {
      const float key = keys[d * kPagedTokens + Lane()];
#pragma unroll
      for (unsigned i = 0; i < kPerWarp; ++i) scores[i] += queries[(Warp() + i * kWarps) * kDim + d] * key;
    }
#pragma unroll
    for (unsigned i = 0; i < kPerWarp; ++i) {
      const unsigned pair = Warp() + i * kWarps;
      if (pair >= pairs) break;  // the whole warp
      const bool visible = first + Lane() < end && first + Lane() < context_of(pair);
      const float score = visible ? scores[i] : -INFINITY;
      const float larger = fmaxf(largest[i], WarpMax(score));
      const bool any = larger > -INFINITY;
      const float probability = any ? expf(score - larger) : 0.0f;
      const float correction = any ? expf(largest[i] - larger) : 1.0f;
      largest[i] = larger;
      sums[i] = sums[i] * correction + WarpSum(probability);
      probabilities[pair * kPagedTokens + Lane()] = probability;
      if (Lane() == 0) corrections[pair] = correction;
    }
    __syncthreads();
#pragma unroll
    for (unsigned i = 0; i < kPerThread; ++i) {
      const unsigned at = threadIdx.x + i * kPagedThreads, pair = at / kDim, d = at % kDim;
      if (pair >= pairs || d >= dim) continue;
      float sum = weighted[i] * corrections[pair];
#pragma unroll 4
      for (unsigned token = 0; token < kPagedTokens; ++token) {
        sum += probabilities[pair * kPagedTokens + token] * values[token * kDim + d];
      }
      weighted[i] = sum;
    }
  }

  // Each pair's sum is known to its warp: all need it, where nothing is left to be put together.
  float* inverse_sums = corrections;
  __syncthreads();
#pragma unroll
  for (unsigned i = 0; i < kPerWarp; ++i) {
    const unsigned pair = Warp() + i * kWarps;
    if (pair >= pairs || Lane() != 0) continue;
    inverse_sums[pair] = args.partials ? 1.0f : 1.0f / sums[i];
    if (!args.partials) continue;
    float* partial = args.partials + ((uint64_t{row_of(pair)} * args.heads + head_of(pair)) * args.splits + blockIdx.z) * 2;
    partial[0] = largest[i];
    partial[1] = sums[i];
  }
  __syncthreads();
#pragma unroll
  for (unsigned i = 0; i < kPerThread; ++i) {
    const unsigned at = threadIdx.x + i * kPagedThreads, pair = at / kDim, d = at % kDim;
    if (pair >= pairs || d >= dim) continue;
    const uint64_t vector = uint64_t{row_of(pair)} * args.heads + head_of(pair);
    args.output[(vector * args.splits + blockIdx.z) * dim + d] = weighted[i] * inverse_sums[pair];
  }
}

#define TIDELINE_PAGED_ATTENTION(name, type)                                                                       \
  TIDELINE_KERNEL(paged_attention_##name##_64, PagedAttentionArgs, kPagedThreads) { PagedAttention<type, 64>(args); }   \
  TIDELINE_KERNEL(paged_attention_##name##_128, PagedAttentionArgs, kPagedThreads) { PagedAttention<type, 128>(args); } \
  TIDELINE_KERNEL(paged_attention_##name##_256, PagedAttentionArgs, kPagedThreads) { PagedAttention<type, 256>(args); }
TIDELINE_PAGED_ATTENTION(float32, DType::kF32)
TIDELINE_PAGED_ATTENTION(float16, DType::kF16)
TIDELINE_PAGED_ATTENTION(bfloat16, DType::kBF16)

// A block puts the splits of one (row, head) pair together.
TIDELINE_KERNEL(paged_attention_combine, PagedCombineArgs, kPagedThreads) {
  const float* partials = args.partials + uint64_t{blockIdx.x} * args.splits * 2;
  const float* values = args.values + uint64_t{blockIdx.x} * args.splits * args.head_dim;
  float largest = -INFINITY, sum = 0;
  for (uint32_t split = 0; split < args.splits; ++split) largest = fmaxf(largest, partials[2 * split]);
  for (uint32_t split = 0; split < args.splits; ++split) {
    sum += expf(partials[2 * split] - largest) * partials[2 * split + 1];
  }
  for (uint32_t d = threadIdx.x; d < args.head_dim; d += kPagedThreads) {
    float value = 0;
    for (uint32_t split = 0; split < args.splits; ++split) {
      value += expf(partials[2 * split] - largest) * values[uint64_t{split} * args.head_dim + d];
    }
    args.output[uint64_t{blockIdx.x} * args.head_dim + d] = value / sum;
  }
}

}  // namespace tideline::cuda
