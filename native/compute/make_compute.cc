#include "compute/compute.h"
#include "compute/cuda/cuda_compute.h"  // CudaCompute
#include "compute/cuda/cuda_scratch.h"  // CudaScratch
#include "compute/host/host_compute.h"  // HostCompute
#include "memory/device.h"              // Device

namespace tideline {

std::unique_ptr<Compute> MakeCompute(const std::shared_ptr<Device>& device, const ComputeLimits& limits) {
  if (device->is_host()) return std::make_unique<HostCompute>(limits);
  const std::string& name = device->name();  // "cuda:N"
  return std::make_unique<CudaCompute>(std::stoi(name.substr(name.find(':') + 1)), limits);
}

uint64_t ComputeScratchBytes(const Device& device, const ComputeLimits& limits) {
  return device.is_host() ? HostScratchBytes(limits) : CudaScratch::Place(nullptr, limits).bytes;
}

}  // namespace tideline
