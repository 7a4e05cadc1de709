#include "compute/cuda/device_batch.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <unordered_map>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr uint64_t kStagedAlignment = 16;
constexpr uint64_t kParts = 8;  // that are appended at most, each aligned

}  // namespace

uint64_t DeviceBatch::MostBytes(const ComputeLimits& limits) {
  const uint64_t step = limits.rows * (3 * sizeof(uint32_t) + sizeof(cuda::StepTile)) +
                        (limits.block_tokens == 0 ? 0
                         : limits.sequences * ((limits.context_tokens + limits.block_tokens - 1) / limits.block_tokens) *
                               sizeof(uint32_t));
  // At worst every row is a sequence and another token.
  const uint64_t micro_batch = limits.rows * (5 * sizeof(uint32_t) + 2 * sizeof(cuda::SequenceTile)) + sizeof(uint32_t);
  return std::max(step, micro_batch) + kParts * kStagedAlignment;
}

template <typename T>
const T* DeviceBatch::Append(std::span<const T> values) {
  const size_t offset = (staged_.size() + kStagedAlignment - 1) / kStagedAlignment * kStagedAlignment;
  staged_.resize(offset + values.size_bytes());
  if (!values.empty()) std::memcpy(staged_.data() + offset, values.data(), values.size_bytes());
  return reinterpret_cast<const T*>(area_ + offset);
}

void DeviceBatch::Send(CudaStream& stream) {
  if (staged_.size() > MostBytes(limits_)) throw Error("internal", "a batch is larger than its limits said");
  stream.Upload(area_, staged_.data(), staged_.size());
}

void DeviceBatch::Begin(CudaStream& stream, std::byte* area, std::span<const StepToken> tokens) {
  area_ = area;
  staged_.clear();
  rows_ = static_cast<uint32_t>(tokens.size());
  std::vector<uint32_t> ids, positions, row_tables, tables;
  std::vector<cuda::StepTile> tiles;
  steps_ = {};
  // The sequences' tables, each as long as its last token needs, one after the other.
  std::unordered_map<const uint32_t*, uint32_t> last_positions, table_of;
  for (const StepToken& token : tokens) {
    uint32_t& last = last_positions[token.blocks];
    last = std::max(last, token.position);
  }
  for (const StepToken& token : tokens) {
    const auto [at, is_new] = table_of.try_emplace(token.blocks, static_cast<uint32_t>(tables.size()));
    if (is_new && limits_.block_tokens > 0) {
      const uint64_t blocks = last_positions[token.blocks] / limits_.block_tokens + 1;
      tables.insert(tables.end(), token.blocks, token.blocks + blocks);
    }
    const uint32_t row = static_cast<uint32_t>(ids.size());
    const bool goes_on = !tiles.empty() && tiles.back().table == at->second && tiles.back().rows < cuda::kStepTileRows &&
                         tiles.back().first_position + tiles.back().rows == token.position;
    if (goes_on) {
      ++tiles.back().rows;
    } else {
      tiles.push_back({row, 1, token.position, at->second});
    }
    steps_.most_tile_rows = std::max(steps_.most_tile_rows, tiles.back().rows);
    steps_.most_context = std::max(steps_.most_context, token.position + 1);
    ids.push_back(token.id);
    positions.push_back(token.position);
    row_tables.push_back(at->second);
  }
  steps_.most_context = std::bit_ceil(steps_.most_context);
  ids_ = Append<uint32_t>(ids);
  positions_ = Append<uint32_t>(positions);
  steps_.row_tables = Append<uint32_t>(row_tables);
  steps_.tiles = Append<cuda::StepTile>(tiles);
  steps_.tables = Append<uint32_t>(tables);  // last: how long they are is nobody else's business (CudaCompute::Repeat)
  steps_.tile_count = static_cast<uint32_t>(tiles.size());
  Send(stream);
}

void DeviceBatch::Begin(CudaStream& stream, std::byte* area, const MicroBatch& batch) {
  area_ = area;
  staged_.clear();
  rows_ = static_cast<uint32_t>(batch.rows());
  steps_ = {};
  ids_ = Append<uint32_t>(batch.ids);
  positions_ = Append<uint32_t>(batch.positions);
  tiles_of_32_ = AppendTiles(batch, 32);
  tiles_of_64_ = AppendTiles(batch, 64);
  AppendTokens(batch.ids);
  Send(stream);
}

DeviceBatch::Tiles DeviceBatch::AppendTiles(const MicroBatch& batch, uint32_t tile_rows) {
  std::vector<cuda::SequenceTile> tiles;
  for (const RowRange& sequence : batch.sequences) {
    const auto begin = static_cast<uint32_t>(sequence.begin), end = static_cast<uint32_t>(sequence.end);
    for (uint32_t first = begin; first < end; first += tile_rows) tiles.push_back({first, begin, end});
  }
  return {Append<cuda::SequenceTile>(tiles), static_cast<uint32_t>(tiles.size())};
}

void DeviceBatch::AppendTokens(std::span<const uint32_t> ids) {
  std::vector<uint32_t> order(ids.size()), different, first;
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return ids[a] < ids[b]; });
  for (uint32_t at = 0; at < order.size(); ++at) {
    if (different.empty() || different.back() != ids[order[at]]) {
      different.push_back(ids[order[at]]);
      first.push_back(at);
    }
  }
  first.push_back(static_cast<uint32_t>(order.size()));
  tokens_ = {Append<uint32_t>(different), Append<uint32_t>(first), Append<uint32_t>(order),
             static_cast<uint32_t>(different.size())};
}

}  // namespace tideline
