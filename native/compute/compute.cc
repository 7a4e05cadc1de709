#include "compute/compute.h"

#include <algorithm>

namespace tideline {
namespace {

// Ranges in the staging memory at once: one comes, one is computed with, one goes.
constexpr uint64_t kPassedAtOnce = 3;
// Enough for the full speed of a link.
constexpr uint64_t kMostPassedBytes = uint64_t{32} << 20;
// Whole loads, of whatever an element is.
constexpr uint64_t kAlignElements = 128;

}  // namespace

// The host computes where they lie.
void Compute::PassThrough(const HostArrays& host, std::span<const ElementRange> ranges, std::span<std::byte>,
                          const std::function<void(size_t, std::span<std::byte* const>)>& work) {
  std::vector<std::byte*> at(host.arrays.size());
  for (size_t index = 0; index < ranges.size(); ++index) {
    std::transform(host.arrays.begin(), host.arrays.end(), at.begin(), [&](const HostArray& array) {
      return array.first + ranges[index].begin * array.element_bytes;
    });
    work(index, at);
  }
}

uint64_t Compute::MostPassedElements(uint64_t staging_bytes, std::span<const HostArray> arrays) {
  uint64_t widest = 0, together = 0;
  for (const HostArray& array : arrays) {
    widest = std::max(widest, array.element_bytes);
    together += array.element_bytes;
  }
  const uint64_t most = std::min(kMostPassedBytes / widest, staging_bytes / (kPassedAtOnce * together));
  return most / kAlignElements * kAlignElements;
}

std::span<const float> Compute::HostView(const float* source, uint64_t count) {
  host_view_.resize(count);
  Download(std::as_writable_bytes(std::span(host_view_)), source);
  return host_view_;
}

}  // namespace tideline
