// Bytes of a region where the processor can read them: in place on the host, copied out of a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/device.h"  // Device, Region

namespace tideline {

class RegionReader {
 public:
  // Who reads has made sure that the contents are defined. Error: not_resident.
  explicit RegionReader(Region& region)
      : region_(region), in_place_(region.device().is_host()), first_(static_cast<std::byte*>(region.MutableData())) {}

  // Until the next call.
  std::span<const std::byte> View(uint64_t offset, uint64_t bytes) {
    if (in_place_) return {first_ + offset, bytes};
    copy_.resize(bytes);
    region_.CopyOut(offset, copy_.data(), bytes);
    return copy_;
  }

 private:
  Region& region_;
  const bool in_place_;
  const std::byte* const first_;
  std::vector<std::byte> copy_;
};

}  // namespace tideline
