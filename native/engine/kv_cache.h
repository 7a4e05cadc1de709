// The paged KV cache in a region of its own (`engine.kv_cache`): fixed blocks of tokens, handed out to sequences and
// taken back. The bookkeeping survives a release of the region: with a backup the bytes come back to the same
// addresses, and without one there are no live blocks (the engine sees to that).
//
// Layout: layer after layer; in a layer block after block; in a block the keys of all heads, then the values.
//   keys   (kv_heads, head_dim, block_tokens): tokens innermost, so scores of 16 tokens are one vector
//   values (kv_heads, block_tokens, head_dim)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "compute/compute.h"      // KvLayer, DType
#include "engine/model_config.h"  // ModelConfig
#include "memory/device.h"        // Device, Region

namespace tideline {

class KvCache {
 public:
  // Errors: bad_argument for block_tokens that are no multiple of 16, kv_cache_too_small when not one block fits.
  KvCache(Device& device, const ModelConfig& config, DType dtype, uint64_t bytes, uint64_t block_tokens);

  Region& region() const { return *region_; }
  DType dtype() const { return dtype_; }
  uint64_t block_tokens() const { return block_tokens_; }
  uint64_t blocks() const { return blocks_; }
  uint64_t used_blocks() const { return blocks_ - free_.size(); }
  uint64_t bytes_per_token() const { return bytes_per_token_; }
  uint64_t BlocksFor(uint64_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }

  // Lowest numbers first, so that what is used stays together. Empty when there are not enough.
  std::vector<uint32_t> Take(uint64_t count);
  void Give(std::vector<uint32_t>& blocks);

  // Where a layer's keys and values lie. Error: not_resident.
  KvLayer Layer(uint64_t layer) const;

 private:
  const DType dtype_;
  const uint64_t block_tokens_;
  uint64_t bytes_per_token_ = 0, block_bytes_ = 0, layer_bytes_ = 0, blocks_ = 0;
  std::vector<uint32_t> free_;  // descending, so that the lowest is taken from the back
  std::shared_ptr<Region> region_;
};

}  // namespace tideline
