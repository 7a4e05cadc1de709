// CudaCompute's norms, rotation, activation and attention, forward and backward.
#include <cmath>

#include "compute/cuda/cuda_compute_parts.h"

namespace tideline {
namespace {

// Blocks that keep every processor of a large GPU busy: below this a long context is split.
constexpr uint64_t kBusyBlocks = 512;
// Rows that a sum over them takes at once, in as many blocks as the partial sums have room for.
constexpr uint64_t kSumRows = 128;
// Tokens of a split at least.
constexpr uint64_t kSplitTokens = cuda::kPagedTokens;

cuda::PagedCache CacheOf(const KvLayer& cache, const HeadShape& shape) {
  return {cache.first, cache.block_stride_bytes, static_cast<uint32_t>(cache.block_tokens),
          static_cast<uint32_t>(shape.kv_heads), static_cast<uint32_t>(shape.head_dim)};
}

// Whether keys of some tokens, and values of one, are whole loads of 16 bytes.
bool IsWide(const KvLayer& cache, const HeadShape& shape) {
  constexpr uint64_t kLoadBytes = 16;
  return reinterpret_cast<uintptr_t>(cache.first) % kLoadBytes == 0 && cache.block_stride_bytes % kLoadBytes == 0 &&
         shape.head_dim * DTypeBytes(cache.dtype) % kLoadBytes == 0 && cache.block_tokens % kLoadBytes == 0;
}

cuda::AttentionArgs ArgsOf(const SelfAttention& attention, uint32_t rows, const DeviceBatch::Tiles& tiles) {
  const HeadShape& shape = attention.shape;
  return {.qkv = attention.qkv,
          .output = attention.output,
          .log_sums = attention.log_sums,
          .d_output = nullptr,
          .d_qkv = nullptr,
          .tiles = tiles.tiles,
          .rows = rows,
          .heads = static_cast<uint32_t>(shape.heads),
          .kv_heads = static_cast<uint32_t>(shape.kv_heads),
          .head_dim = static_cast<uint32_t>(shape.head_dim),
          .qkv_stride = static_cast<uint32_t>(shape.qkv_size()),
          .scale = AttentionScale(shape.head_dim),
          .partials = nullptr,
          .parts = 1};
}

// Beside weights of 16 bits its products may be rounded to TF32.
bool OnTensorCores(const SelfAttention& attention) {
  const uint64_t head_dim = attention.shape.head_dim;
  return attention.dtype != DType::kF32 && head_dim % 8 == 0 && head_dim <= 128;
}

// Queries, then keys, with the columns where each kind begins.
cuda::RotaryHeads HeadsOf(const NormWeights& norm, uint64_t first_column, uint64_t heads) {
  return {norm.weight, norm.dtype, norm.eps, static_cast<uint32_t>(first_column), static_cast<uint32_t>(heads)};
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Sums over rows

void CudaCompute::SumColumns(const float* values, const float* others, const float* row_factors, uint64_t rows,
                             uint64_t columns, const Gradient& sum) {
  const auto launch = [&](const float* of, const float* with, const float* factors, float* partials, uint64_t count,
                          uint64_t part_rows) {
    stream_.Launch("column_sums", {BlocksFor(columns, cuda::kSumColumns), BlocksFor(count, part_rows)}, cuda::kSumThreads,
                   cuda::ColumnSumsArgs{of, with, factors, sum.first, sum.dtype, partials, static_cast<uint32_t>(count),
                                        static_cast<uint32_t>(columns), static_cast<uint32_t>(part_rows)});
  };
  const uint64_t parts = std::min(BlocksFor(rows, kSumRows), CudaScratch::kPartialFloats / columns);
  if (parts <= 2) {
    launch(values, others, row_factors, nullptr, rows, std::max<uint64_t>(rows, 1));
    return;
  }
  const uint64_t part_rows = BlocksFor(rows, parts);
  launch(values, others, row_factors, scratch_.partials, rows, part_rows);
  const uint64_t partials = BlocksFor(rows, part_rows);
  launch(scratch_.partials, nullptr, nullptr, nullptr, partials, partials);
}

void CudaCompute::BiasGradient(const float* d_y, uint64_t columns, std::span<const RowRange> pieces, const Gradient& sum) {
  if (pieces.empty()) return;
  const uint64_t begin = pieces.front().begin;
  SumColumns(d_y + begin * columns, nullptr, nullptr, pieces.back().end - begin, columns, sum);
}

// ---------------------------------------------------------------------------------------------------------------------
// Rows

void CudaCompute::NormForward(const NormWeights& norm, const float* input, float* output, uint64_t rows) {
  stream_.Launch("rms_norm", {rows}, cuda::kRowThreads,
                 cuda::RmsNormArgs{input, output, norm.weight, norm.dtype, static_cast<uint32_t>(norm.size), norm.eps,
                                   InFours(norm.size, {input, output})});
}

void CudaCompute::NormBackward(const NormWeights& norm, const NormBackwardArgs& args) {
  Arguments arguments(*this);
  const uint32_t* target_rows = args.target_rows.empty() ? nullptr : arguments.Upload(args.target_rows);
  stream_.Launch("rms_norm_backward", {args.rows}, cuda::kRowThreads,
                 cuda::RmsNormBackwardArgs{args.input, args.d_output, target_rows, args.d_input, args.inverse_rms,
                                           norm.weight, norm.dtype, static_cast<uint32_t>(norm.size), norm.eps});
  if (args.pieces.empty()) return;
  const uint64_t begin = args.pieces.front().begin;
  SumColumns(args.d_output + begin * norm.size, args.input + begin * norm.size, args.inverse_rms + begin,
             args.pieces.back().end - begin, norm.size, args.d_weight);
}

void CudaCompute::SiluMultiply(const float* gate_up, float* output, uint64_t rows, uint64_t size) {
  const bool wide = InFours(size, {gate_up, output});
  stream_.Launch("silu_multiply", RowGrid(rows, wide ? size / 4 : size), cuda::kRowThreads,
                 cuda::SiluArgs{gate_up, output, static_cast<uint32_t>(size), wide});
}

void CudaCompute::SiluMultiplyBackward(const float* gate_up, const float* d_output, float* d_gate_up, uint64_t rows,
                                       uint64_t size) {
  const bool wide = InFours(size, {gate_up, d_output, d_gate_up});
  stream_.Launch("silu_multiply_backward", RowGrid(rows, wide ? size / 4 : size), cuda::kRowThreads,
                 cuda::SiluBackwardArgs{gate_up, d_output, d_gate_up, static_cast<uint32_t>(size), wide});
}

void CudaCompute::GatherRows(const float* source, std::span<const uint32_t> rows, uint64_t columns, float* target) {
  Arguments arguments(*this);
  stream_.Launch("gather_rows", RowGrid(rows.size(), columns), cuda::kRowThreads,
                 cuda::GatherRowsArgs{source, arguments.Upload(rows), target, static_cast<uint32_t>(columns)});
}

void CudaCompute::Rotate(const RotaryArgs& rotary, float* qkv, float* raw_qk) {
  const HeadShape& shape = rotary.shape;
  PaddedHeadDim(shape.head_dim);
  for (const auto& heads : {HeadsOf(rotary.q_norm, 0, shape.heads), HeadsOf(rotary.k_norm, shape.q_size(), shape.kv_heads)}) {
    const uint64_t vectors = uint64_t{batch_.rows()} * heads.heads;
    stream_.Launch("rotate", {BlocksFor(vectors, cuda::kRotateThreads / 32)}, cuda::kRotateThreads,
                   cuda::RotateArgs{heads, qkv, raw_qk, rotary.cosine, rotary.sine, batch_.rows(),
                                    static_cast<uint32_t>(shape.head_dim), static_cast<uint32_t>(shape.qkv_size()),
                                    static_cast<uint32_t>(shape.qk_size())});
  }
}

void CudaCompute::RotateBackward(const RotaryArgs& rotary, const float* raw_qk, float* d_qkv,
                                 const Gradient& d_q_norm, const Gradient& d_k_norm) {
  const HeadShape& shape = rotary.shape;
  PaddedHeadDim(shape.head_dim);
  const auto turn_back = [&](const cuda::RotaryHeads& heads, const Gradient& d_norm) {
    const uint64_t vectors = uint64_t{batch_.rows()} * heads.heads;
    const uint64_t blocks =
        std::min<uint64_t>(cuda::kRotateBackwardBlocks, BlocksFor(vectors, cuda::kRotateBackwardThreads / 32));
    stream_.Launch("rotate_backward", {blocks}, cuda::kRotateBackwardThreads,
                   cuda::RotateBackwardArgs{heads, d_qkv, raw_qk, rotary.cosine, rotary.sine, scratch_.partials,
                                            batch_.rows(), static_cast<uint32_t>(shape.head_dim),
                                            static_cast<uint32_t>(shape.qkv_size()),
                                            static_cast<uint32_t>(shape.qk_size())});
    if (heads.norm_weight) SumColumns(scratch_.partials, nullptr, nullptr, blocks, shape.head_dim, d_norm);
  };
  turn_back(HeadsOf(rotary.q_norm, 0, shape.heads), d_q_norm);
  turn_back(HeadsOf(rotary.k_norm, shape.q_size(), shape.kv_heads), d_k_norm);
}

// ---------------------------------------------------------------------------------------------------------------------
// Attention

cuda::StoreKeysValuesArgs CudaCompute::StoreArgs(const KvLayer& cache, const HeadShape& shape, const float* qkv) const {
  if (cache.block_tokens != limits_.block_tokens) throw Error("internal", "the cache's blocks are not as the limits said");
  const DeviceBatch::Steps& steps = batch_.steps();
  return {CacheOf(cache, shape), cache.dtype, qkv, batch_.positions(), steps.row_tables, steps.tables,
          static_cast<uint32_t>(shape.q_size()), static_cast<uint32_t>(shape.qkv_size())};
}

void CudaCompute::StoreKeysValues(const KvLayer& cache, const HeadShape& shape, const float* qkv) {
  stream_.Launch("store_keys_values", RowGrid(batch_.rows(), shape.kv_size()), cuda::kRowThreads, StoreArgs(cache, shape, qkv));
}

void CudaCompute::RotateAndStore(const RotaryArgs& rotary, const KvLayer& cache, float* qkv) {
  const HeadShape& shape = rotary.shape;
  PaddedHeadDim(shape.head_dim);
  const uint64_t vectors = batch_.rows() * (shape.heads + 2 * shape.kv_heads);
  stream_.Launch("rotate_and_store", {BlocksFor(vectors, cuda::kRotateThreads / 32)}, cuda::kRotateThreads,
                 cuda::RotateAndStoreArgs{HeadsOf(rotary.q_norm, 0, shape.heads),
                                          HeadsOf(rotary.k_norm, shape.q_size(), shape.kv_heads),
                                          StoreArgs(cache, shape, qkv), qkv, rotary.cosine, rotary.sine, batch_.rows()});
}

void CudaCompute::PagedAttention(const KvLayer& cache, const HeadShape& shape, const float* qkv, float* output) {
  const DeviceBatch::Steps& steps = batch_.steps();
  if (steps.tile_count == 0) return;
  const unsigned padded_dim = PaddedHeadDim(shape.head_dim);
  const uint64_t chunks = BlocksFor(steps.most_tile_rows * (shape.heads / shape.kv_heads), cuda::kPagedQueries);
  const uint64_t blocks = steps.tile_count * shape.kv_heads * chunks;
  // A part has a vector, its largest score and its sum for every (row, head).
  const uint64_t part_floats = batch_.rows() * shape.heads * (shape.head_dim + 2);
  const uint64_t parts = std::min({BlocksFor(kBusyBlocks, blocks), BlocksFor(steps.most_context, kSplitTokens),
                                   CudaScratch::kPartialFloats / part_floats});
  const uint64_t split_tokens =
      BlocksFor(BlocksFor(steps.most_context, std::max<uint64_t>(parts, 1)), cuda::kPagedTokens) * cuda::kPagedTokens;
  const uint64_t splits = BlocksFor(steps.most_context, split_tokens);
  float* values = scratch_.partials;
  float* sums = values + batch_.rows() * shape.heads * splits * shape.head_dim;
  stream_.Launch(KernelName("paged_attention", cache.dtype) + "_" + std::to_string(padded_dim),
                 {steps.tile_count, shape.kv_heads * chunks, splits}, cuda::kPagedThreads,
                 cuda::PagedAttentionArgs{CacheOf(cache, shape), qkv, steps.tiles, steps.tables,
                                          splits == 1 ? output : values, splits == 1 ? nullptr : sums,
                                          static_cast<uint32_t>(shape.heads), static_cast<uint32_t>(shape.qkv_size()),
                                          static_cast<uint32_t>(chunks), static_cast<uint32_t>(splits),
                                          static_cast<uint32_t>(split_tokens), AttentionScale(shape.head_dim), IsWide(cache, shape)},
                 cuda::PagedSharedBytes(padded_dim));
  if (splits == 1) return;
  stream_.Launch("paged_attention_combine", {batch_.rows() * shape.heads}, cuda::kPagedThreads,
                 cuda::PagedCombineArgs{values, sums, output, static_cast<uint32_t>(splits),
                                        static_cast<uint32_t>(shape.head_dim)});
}

void CudaCompute::AttentionForward(const SelfAttention& attention) {
  const HeadShape& shape = attention.shape;
  if (OnTensorCores(attention)) {
    const unsigned width = PaddedHeadDim(shape.head_dim);
    const DeviceBatch::Tiles& tiles = batch_.tiles(cuda::kTensorTile);
    stream_.Launch("tensor_attention_forward_" + std::to_string(width), {tiles.count, shape.heads}, cuda::kTensorThreads,
                   ArgsOf(attention, batch_.rows(), tiles), cuda::TensorForwardBytes(width));
    return;
  }
  const unsigned padded_dim = PaddedHeadDim(shape.head_dim), tile = cuda::ForwardTile(padded_dim);
  const DeviceBatch::Tiles& tiles = batch_.tiles(tile);
  stream_.Launch("attention_forward_" + std::to_string(padded_dim), {tiles.count, shape.heads}, cuda::kAttentionThreads,
                 ArgsOf(attention, batch_.rows(), tiles),
                 cuda::ForwardSharedBytes(tile, static_cast<unsigned>(shape.head_dim)));
}

void CudaCompute::AttentionBackward(const SelfAttention& attention, const float* d_output, float* d_qkv) {
  const HeadShape& shape = attention.shape;
  const unsigned padded_dim = PaddedHeadDim(shape.head_dim), tile = cuda::BackwardTile(padded_dim);
  const bool on_tensor_cores = OnTensorCores(attention);
  const DeviceBatch::Tiles& tiles = batch_.tiles(on_tensor_cores ? cuda::kTensorTile : tile);
  cuda::AttentionArgs args = ArgsOf(attention, batch_.rows(), tiles);
  args.d_output = d_output;
  args.d_qkv = d_qkv;
  stream_.Launch("attention_shift", {BlocksFor(batch_.rows() * shape.heads, cuda::kAttentionThreads / 32)},
                 cuda::kAttentionThreads, args);
  if (on_tensor_cores) {
    TensorAttentionBackward(args, tiles.count);
    return;
  }
  const std::string width = std::to_string(padded_dim);
  const unsigned shared_bytes = cuda::BackwardSharedBytes(tile, static_cast<unsigned>(shape.head_dim));
  stream_.Launch("attention_backward_keys_" + width, {tiles.count, shape.kv_heads}, cuda::kAttentionThreads, args,
                 shared_bytes);
  stream_.Launch("attention_backward_queries_" + width, {tiles.count, shape.heads}, cuda::kAttentionThreads, args,
                 shared_bytes);
}

// The query heads that share a key head are cut into as many parts as there is room for their sums: one block each.
void CudaCompute::TensorAttentionBackward(cuda::AttentionArgs args, uint64_t tiles) {
  const uint64_t columns = 2 * uint64_t{args.kv_heads} * args.head_dim, group = args.heads / args.kv_heads;
  const uint64_t narrowed = cublas_ ? CudaScratch::NarrowedElements(limits_) * sizeof(uint16_t) / sizeof(float) : 0;
  const bool has_narrowed = narrowed > CudaScratch::kPartialFloats;
  args.partials = has_narrowed ? reinterpret_cast<float*>(scratch_.narrowed) : scratch_.partials;
  const uint64_t room = (has_narrowed ? narrowed : CudaScratch::kPartialFloats) / (args.rows * columns);
  args.parts = static_cast<uint32_t>(std::clamp<uint64_t>(room, 1, group));
  const unsigned width = PaddedHeadDim(args.head_dim), shared_bytes = cuda::TensorBackwardBytes(width);
  const std::string name = std::to_string(width);
  stream_.Launch("tensor_attention_backward_keys_" + name, {tiles, uint64_t{args.kv_heads} * args.parts},
                 cuda::kTensorThreads, args, shared_bytes);
  if (args.parts > 1) {
    stream_.Launch("tensor_attention_sum_parts", {args.rows, BlocksFor(columns, cuda::kTensorThreads)},
                   cuda::kTensorThreads, args);
  }
  stream_.Launch("tensor_attention_backward_queries_" + name, {tiles, args.heads}, cuda::kTensorThreads, args,
                 shared_bytes);
}

}  // namespace tideline
