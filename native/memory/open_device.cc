// From a device's name to a Device: the one place that knows every kind of Backing.
#include <string>
#include <utility>

#include "memory/cuda_backing.h"    // CudaBacking, ProbeCuda
#include "memory/device.h"          // OpenDevice, ProbeDevices
#include "memory/host_backing.h"    // HostBacking
#include "memory/machine_memory.h"  // AvailableMachineBytes
#include "memory/pooled_device.h"   // PooledDevice

namespace tideline {
namespace {

constexpr char kCudaPrefix[] = "cuda:";

// N of "cuda:N", or nothing.
std::optional<int> CudaOrdinal(const std::string& name) {
  if (!name.starts_with(kCudaPrefix)) return std::nullopt;
  const std::string digits = name.substr(sizeof kCudaPrefix - 1);
  if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::stoi(digits);
}

}  // namespace

std::shared_ptr<Device> OpenDevice(const std::string& name, uint64_t capacity_bytes, uint64_t chunk_bytes) {
  std::unique_ptr<Backing> backing;
  if (name == "host") {
    backing = HostBacking::Open(capacity_bytes, chunk_bytes);
  } else if (const std::optional<int> ordinal = CudaOrdinal(name)) {
    backing = CudaBacking::Open(*ordinal, chunk_bytes);
  } else {
    throw Error("device_unavailable", "there is no device \"" + name + "\"", "devices are host, cuda:0, cuda:1, …");
  }
  if (capacity_bytes < backing->chunk_bytes()) {
    throw Error("bad_argument", "capacityBytes must hold at least one chunk of " + std::to_string(backing->chunk_bytes()) + " bytes")
        .WithField("capacityBytes");
  }
  return std::make_shared<PooledDevice>(name, std::move(backing), capacity_bytes);
}

std::vector<DeviceProbe> ProbeDevices() {
  std::vector<DeviceProbe> probes;
  DeviceProbe host;
  host.name = "host";
  host.description = DescribeHost();
  host.total_bytes = TotalMachineBytes();
  host.free_bytes = AvailableMachineBytes();
  probes.push_back(std::move(host));
  for (DeviceProbe& probe : ProbeCuda()) probes.push_back(std::move(probe));
  return probes;
}

}  // namespace tideline
