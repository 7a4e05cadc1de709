#include "engine/kv_cache.h"

#include <algorithm>
#include <functional>
#include <string>

#include "memory/error.h"  // Error

namespace tideline {

KvCache::KvCache(Device& device, const ModelConfig& config, DType dtype, uint64_t bytes, uint64_t block_tokens)
    : dtype_(dtype), block_tokens_(block_tokens) {
  if (block_tokens == 0 || block_tokens % 16 != 0 || block_tokens > 4096) {
    throw Error("bad_argument", "blockTokens is " + std::to_string(block_tokens) + ", and has to be a multiple of 16")
        .WithField("blockTokens");
  }
  block_bytes_ = 2 * config.kv_size() * block_tokens_ * DTypeBytes(dtype_);
  bytes_per_token_ = config.layers * block_bytes_ / block_tokens_;
  const uint64_t all_layers_bytes = config.layers * block_bytes_;
  // Block numbers have 32 bits.
  blocks_ = std::min<uint64_t>(bytes / all_layers_bytes, (uint64_t{1} << 32) - 1);
  if (blocks_ == 0) {
    throw Error("kv_cache_too_small",
                "a KV cache of " + std::to_string(bytes) + " bytes does not hold one block of " +
                    std::to_string(block_tokens_) + " tokens, which takes " + std::to_string(all_layers_bytes) + " bytes",
                "give the KV cache at least " + std::to_string(all_layers_bytes) + " bytes")
        .WithField("kvCacheBytes");
  }
  layer_bytes_ = blocks_ * block_bytes_;
  free_.resize(blocks_);
  for (uint64_t index = 0; index < blocks_; ++index) free_[index] = static_cast<uint32_t>(blocks_ - 1 - index);
  region_ = device.CreateRegion("engine.kv_cache", "kv_cache", blocks_ * all_layers_bytes);
}

std::vector<uint32_t> KvCache::Take(uint64_t count) {
  if (count > free_.size()) return {};
  std::vector<uint32_t> taken(free_.rbegin(), free_.rbegin() + static_cast<ptrdiff_t>(count));
  free_.resize(free_.size() - count);
  region_->SetUsedBytes(used_blocks() * block_tokens_ * bytes_per_token_);
  return taken;
}

void KvCache::Give(std::vector<uint32_t>& blocks) {
  const auto middle = static_cast<ptrdiff_t>(free_.size());
  free_.insert(free_.end(), blocks.begin(), blocks.end());
  std::sort(free_.begin() + middle, free_.end(), std::greater<>());
  std::inplace_merge(free_.begin(), free_.begin() + middle, free_.end(), std::greater<>());
  blocks.clear();
  region_->SetUsedBytes(used_blocks() * block_tokens_ * bytes_per_token_);
}

KvLayer KvCache::Layer(uint64_t layer) const {
  return {static_cast<std::byte*>(region_->MutableData()) + layer * layer_bytes_, dtype_, block_bytes_, block_tokens_};
}

}  // namespace tideline
