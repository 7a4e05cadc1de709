// NVML through dlopen: which processes hold memory of a GPU. Only for explaining an out-of-memory error; everything
// works without it. The environment variable TIDELINE_NVML_LIBRARY names another library than libnvidia-ml.so.1 (tests put
// a double there).
#pragma once

#include <string>
#include <vector>

#include "memory/error.h"  // Holder

namespace tideline {

// The other processes on the GPU with this PCI bus id, as "process 1234 (python3)". Empty when NVML is missing, or
// refuses.
std::vector<Holder> ProcessesOnGpu(const std::string& pci_bus_id);

}  // namespace tideline
