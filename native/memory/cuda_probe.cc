// Which CUDA devices there are, without opening one: a context would take half a gigabyte of each.
#include <string>
#include <utility>

#include "memory/cuda_backing.h"  // ProbeCuda
#include "memory/cuda_driver.h"   // CudaDriver

namespace tideline {

std::vector<DeviceProbe> ProbeCuda() noexcept {
  std::vector<DeviceProbe> probes;
  DeviceProbe none;
  none.name = "cuda";
  none.description = "CUDA";
  try {
    const std::shared_ptr<const CudaDriver> driver = CudaDriver::Load();
    int version = 0;
    int count = 0;
    driver->DriverGetVersion(&version);
    driver->DeviceGetCount(&count);
    const std::string version_text = std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
    for (int i = 0; i < count; ++i) {
      DeviceProbe probe;
      probe.name = "cuda:" + std::to_string(i);
      probe.driver_version = version_text;
      cuda::Ordinal device = 0;
      size_t total = 0;
      const cuda::Result result = driver->DeviceGet(&device, i);
      if (result != cuda::kSuccess || driver->DeviceTotalMem(&total, device) != cuda::kSuccess) {
        probe.problem = "it cannot be asked: " + driver->Describe(result);
      }
      probe.description = driver->NameOf(device);
      // Asking for what is free needs a context, which takes half a gigabyte: not for a probe.
      probe.total_bytes = probe.free_bytes = total;
      probes.push_back(std::move(probe));
    }
    none.driver_version = version_text;
    none.problem = "the driver is there but no device";
  } catch (const std::exception& error) {
    none.problem = error.what();
  }
  if (probes.empty()) probes.push_back(std::move(none));
  return probes;
}

}  // namespace tideline
