#include "compute/compute.h"

namespace tideline {

std::span<const float> Compute::HostView(const float* source, uint64_t count) {
  host_view_.resize(count);
  Download(std::as_writable_bytes(std::span(host_view_)), source);
  return host_view_;
}

}  // namespace tideline
