#include "compute/compute.h"

#include <algorithm>

namespace tideline {
namespace {

// Ranges in the staging memory at once: one comes, one is computed with, one goes.
constexpr uint64_t kPassedAtOnce = 3;
// Enough for the full speed of a link.
constexpr uint64_t kMostPassedBytes = uint64_t{32} << 20;
constexpr uint64_t kAlignBytes = 256;

}  // namespace

// The host computes where they lie.
void Compute::PassThrough(const HostArrays& arrays, std::span<const ByteRange> ranges, std::span<std::byte>,
                          const std::function<void(size_t, std::span<std::byte* const>)>& work) {
  std::vector<std::byte*> at(arrays.firsts.size());
  for (size_t index = 0; index < ranges.size(); ++index) {
    std::transform(arrays.firsts.begin(), arrays.firsts.end(), at.begin(),
                   [&](std::byte* first) { return first + ranges[index].offset; });
    work(index, at);
  }
}

uint64_t Compute::MostPassedBytes(uint64_t staging_bytes, size_t arrays) {
  return std::min(kMostPassedBytes, staging_bytes / (kPassedAtOnce * arrays)) / kAlignBytes * kAlignBytes;
}

std::span<const float> Compute::HostView(const float* source, uint64_t count) {
  host_view_.resize(count);
  Download(std::as_writable_bytes(std::span(host_view_)), source);
  return host_view_;
}

}  // namespace tideline
