#include "compute/compute.h"

#include "compute/host/host_compute.h"  // HostCompute
#include "memory/device.h"              // Device
#include "memory/error.h"               // Error

namespace tideline {

std::unique_ptr<Compute> MakeCompute(const std::shared_ptr<Device>& device, const ComputeLimits& limits) {
  if (device->is_host()) return std::make_unique<HostCompute>(limits);
  throw Error("unsupported", "this build of Tideline cannot compute on " + device->name(),
              "open the host device; regions and models on " + device->name() + " can be used without computing");
}

}  // namespace tideline
