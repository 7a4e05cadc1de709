// Attention of a step's tokens over the paged KV cache (engine/kv_cache.h has its layout): keys and values go in, then each
// (row, head) pair attends to its sequence, kPagedTokens tokens at a time with a running softmax, so scores are never
// stored. Pairs that share a key head share one reading of it. A long context is split among blocks, whose parts a second
// kernel puts together.
#include "compute/cuda/kernels/kernel.h"
#include "compute/cuda/kernels/rotate_head.h"

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

// Queries are turned in place, keys on their way into the cache, and values go there as they are: a warp takes one head of
// one row.
TIDELINE_KERNEL(rotate_and_store, RotateAndStoreArgs, kRotateThreads) {
  const PagedCache& cache = args.store.cache;
  const uint32_t heads = args.queries.heads, kv_heads = cache.kv_heads, all = heads + 2 * kv_heads;
  const uint64_t vector = uint64_t{blockIdx.x} * (kRotateThreads / kWarp) + Warp();
  if (vector >= uint64_t{args.rows} * all) return;  // the whole warp
  const uint64_t row = vector / all;
  const auto head = static_cast<uint32_t>(vector % all);
  const uint32_t dim = cache.head_dim, half = dim / 2, position = args.store.positions[row];
  float* mine = args.qkv + row * args.store.qkv_stride + uint64_t{head} * dim;
  const float *cosine = args.cosine + row * half, *sine = args.sine + row * half;
  if (head < heads) {
    RotateHead(args.queries, mine, cosine, sine, half, [&](uint32_t d, float value) { mine[d] = value; });
    return;
  }
  std::byte* block = BlockOf(cache, args.store.tables + args.store.row_tables[row], position);
  const uint32_t slot = position % cache.block_tokens;
  if (head < heads + kv_heads) {
    const uint32_t first = KeyAt(cache, head - heads, slot);
    RotateHead(args.keys, mine, cosine, sine, half, [&](uint32_t d, float value) {
      Store(block, args.store.dtype, first + d * cache.block_tokens, value);
    });
  } else {
    const uint32_t first = ValueAt(cache, head - heads - kv_heads, slot);
    for (uint32_t d = Lane(); d < dim; d += kWarp) Store(block, args.store.dtype, first + d, mine[d]);
  }
}

// The pair that a thread's i-th number belongs to.
template <unsigned kDim>
__device__ inline unsigned PairOf(unsigned i) {
  return (threadIdx.x + i * kPagedThreads) / kDim;
}

// Tokens [first, first + kPagedTokens), 16 bytes at a time, all of them under way before the first is used. Keys beyond `end`
// are not read, and their scores not looked at; values there are the last token's, times 0.
template <DType kType, unsigned kDim>
__device__ inline void LoadWide(const PagedAttentionArgs& args, uint32_t kv_head, uint32_t first, uint32_t end,
                                const std::byte* const* block_of, const uint32_t* slot_of, float* keys, float* values) {
  using S = Storage<kType>;
  using Stored = typename S::Stored;
  constexpr unsigned kWide = 16 / sizeof(Stored), kLoads = kPagedTokens * kDim / kWide, kEach = kLoads / kPagedThreads;
  constexpr unsigned kAtOnce = kEach < 8 ? kEach : 8;
  const PagedCache& cache = args.cache;
  const auto spread = [](const uint4& packed, float* to) {
    Stored stored[kWide];
    memcpy(stored, &packed, sizeof stored);
#pragma unroll
    for (unsigned e = 0; e < kWide; e += 4) {
      *reinterpret_cast<float4*>(to + e) = {S::Widen(stored[e]), S::Widen(stored[e + 1]), S::Widen(stored[e + 2]),
                                            S::Widen(stored[e + 3])};
    }
  };
  const auto load = [](const std::byte* block, uint32_t element) {
    return *reinterpret_cast<const uint4*>(block + uint64_t{element} * sizeof(Stored));
  };
#pragma unroll 1
  for (unsigned start = 0; start < kEach; start += kAtOnce) {
    uint4 of_keys[kAtOnce], of_values[kAtOnce];
    const auto at = [&](unsigned i) { return threadIdx.x + (start + i) * kPagedThreads; };
    const auto key_d = [&](unsigned i) { return at(i) / (kPagedTokens / kWide); };
    const auto key_token = [&](unsigned i) { return at(i) % (kPagedTokens / kWide) * kWide; };
    const auto value_token = [&](unsigned i) { return at(i) / (kDim / kWide); };
    const auto value_d = [&](unsigned i) { return at(i) % (kDim / kWide) * kWide; };
    const auto has_key = [&](unsigned i) { return key_d(i) < cache.head_dim && first + key_token(i) < end; };
#pragma unroll
    for (unsigned i = 0; i < kAtOnce; ++i) {
      if (has_key(i)) {
        of_keys[i] = load(block_of[key_token(i)],
                          KeyAt(cache, kv_head, slot_of[key_token(i)]) + key_d(i) * cache.block_tokens);
      }
      if (value_d(i) < cache.head_dim) {
        of_values[i] = load(block_of[value_token(i)], ValueAt(cache, kv_head, slot_of[value_token(i)]) + value_d(i));
      }
    }
#pragma unroll
    for (unsigned i = 0; i < kAtOnce; ++i) {
      if (has_key(i)) spread(of_keys[i], keys + key_d(i) * kPagedTokens + key_token(i));
      if (value_d(i) < cache.head_dim) spread(of_values[i], values + value_token(i) * kDim + value_d(i));
    }
  }
}

// A grid of (tiles, kv_heads * chunks, splits); kDim: head_dim rounded up to 64, 128 or 256.
template <DType kType, unsigned kDim>
__device__ inline void PagedAttention(const PagedAttentionArgs& args) {
  constexpr unsigned kWarps = kPagedThreads / kWarp, kPerWarp = kPagedQueries / kWarps;
  constexpr unsigned kPerThread = kPagedQueries * kDim / kPagedThreads;
  constexpr unsigned kOwn = kDim > kPagedThreads ? kDim / kPagedThreads : 1;  // numbers of a head that a thread has
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
  // Where a token lies is known before the pass begins; what lies there is not.
  const auto block_of_token = [&](uint32_t token) { return BlockOf(cache, args.tables + tile.table, token); };
  const std::byte* first_block = nullptr;
  if (threadIdx.x < kPagedTokens && begin < end) {
    first_block = block_of_token(begin + threadIdx.x < end ? begin + threadIdx.x : end - 1);
  }
  WaitForEarlierKernels();

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
      block_of[threadIdx.x] = first == begin ? first_block : block_of_token(token);
      slot_of[threadIdx.x] = token % cache.block_tokens;
    }
    __syncthreads();
    if (args.wide) {
      LoadWide<kType, kDim>(args, kv_head, first, end, block_of, slot_of, keys, values);
    } else {
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
    }
    __syncthreads();
    float scores[kPerWarp] = {};
    // Four numbers of a query at a time: shared memory is what limits this.
    const unsigned whole = dim / 4 * 4;
#pragma unroll 2
    for (unsigned d = 0; d < whole; d += 4) {
      const float key[4] = {keys[d * kPagedTokens + Lane()], keys[(d + 1) * kPagedTokens + Lane()],
                            keys[(d + 2) * kPagedTokens + Lane()], keys[(d + 3) * kPagedTokens + Lane()]};
#pragma unroll
      for (unsigned i = 0; i < kPerWarp; ++i) {
        if (Warp() + i * kWarps >= pairs) break;  // the whole warp
        const float4 query = *reinterpret_cast<const float4*>(queries + (Warp() + i * kWarps) * kDim + d);
        scores[i] += query.x * key[0];
        scores[i] += query.y * key[1];
        scores[i] += query.z * key[2];
        scores[i] += query.w * key[3];
      }
    }
    for (unsigned d = whole; d < dim; ++d) {
#pragma unroll
      for (unsigned i = 0; i < kPerWarp; ++i) {
        scores[i] += queries[(Warp() + i * kWarps) * kDim + d] * keys[d * kPagedTokens + Lane()];
      }
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
    // A thread has the same numbers of every pair's head, so each value is read once.
#pragma unroll
    for (unsigned i = 0; i < kPerThread; ++i) {
      if (PairOf<kDim>(i) < pairs) weighted[i] *= corrections[PairOf<kDim>(i)];
    }
#pragma unroll 1
    for (unsigned token = 0; token < kPagedTokens; token += 4) {
      float value[kOwn][4];
#pragma unroll
      for (unsigned own = 0; own < kOwn; ++own) {
#pragma unroll
        for (unsigned t = 0; t < 4; ++t) {
          value[own][t] = values[(token + t) * kDim + threadIdx.x % kDim + own * kPagedThreads];
        }
      }
#pragma unroll
      for (unsigned i = 0; i < kPerThread; ++i) {
        const unsigned pair = PairOf<kDim>(i);
        if (pair >= pairs) break;
        const float4 of = *reinterpret_cast<const float4*>(probabilities + pair * kPagedTokens + token);
        weighted[i] += of.x * value[i % kOwn][0];
        weighted[i] += of.y * value[i % kOwn][1];
        weighted[i] += of.z * value[i % kOwn][2];
        weighted[i] += of.w * value[i % kOwn][3];
      }
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
  TIDELINE_EARLY_KERNEL(paged_attention_##name##_64, PagedAttentionArgs, kPagedThreads) { PagedAttention<type, 64>(args); }   \
  TIDELINE_EARLY_KERNEL(paged_attention_##name##_128, PagedAttentionArgs, kPagedThreads) { PagedAttention<type, 128>(args); } \
  TIDELINE_EARLY_KERNEL(paged_attention_##name##_256, PagedAttentionArgs, kPagedThreads) { PagedAttention<type, 256>(args); }
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
