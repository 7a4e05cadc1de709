#include <string>

#include "compute/compute.h"
#include "compute/cuda/cublas.h"        // CublasWorkspaceBytes
#include "compute/cuda/cuda_compute.h"  // CudaCompute
#include "compute/cuda/cuda_scratch.h"  // CudaScratch
#include "compute/host/host_compute.h"  // HostCompute
#include "memory/device.h"              // Device

namespace tideline {
namespace {

// N of "cuda:N".
int OrdinalOf(const Device& device) { return std::stoi(device.name().substr(device.name().find(':') + 1)); }

}  // namespace

std::unique_ptr<Compute> MakeCompute(const std::shared_ptr<Device>& device, const ComputeLimits& limits) {
  if (device->is_host()) return std::make_unique<HostCompute>(limits);
  return std::make_unique<CudaCompute>(OrdinalOf(*device), limits);
}

uint64_t ComputeScratchBytes(const Device& device, const ComputeLimits& limits) {
  if (device.is_host()) return HostScratchBytes(limits);
  return CudaScratch::Place(nullptr, limits, CublasWorkspaceBytes(OrdinalOf(device))).bytes;
}

}  // namespace tideline
