// One question to libnvidia-ml.so.1, asked only when memory ran out: loaded for the call and let go after it.
#include "memory/nvml.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "memory/process_name.h"  // DescribeProcess

namespace tideline {
namespace {

using NvmlResult = int;
using NvmlDevice = struct NvmlDeviceObject*;
constexpr NvmlResult kNvmlSuccess = 0;
constexpr unsigned long long kNotAvailable = ~0ull;

// nvmlProcessInfo_t of nvmlDeviceGetComputeRunningProcesses_v3.
struct NvmlProcess {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
};
static_assert(sizeof(NvmlProcess) == 24);

template <typename Function>
bool Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::vector<Holder> ProcessesOnGpu(const std::string& pci_bus_id) {
  const char* override_path = std::getenv("TIDELINE_NVML_LIBRARY");
  const char* path = override_path && *override_path ? override_path : "libnvidia-ml.so.1";
  const std::unique_ptr<void, int (*)(void*)> library(::dlopen(path, RTLD_NOW | RTLD_LOCAL), ::dlclose);
  NvmlResult (*init)();
  NvmlResult (*shutdown)();
  NvmlResult (*by_bus_id)(const char*, NvmlDevice*);
  NvmlResult (*processes)(NvmlDevice, unsigned*, NvmlProcess*);
  if (!library || !Find(library.get(), "nvmlInit_v2", init) || !Find(library.get(), "nvmlShutdown", shutdown) ||
      !Find(library.get(), "nvmlDeviceGetHandleByPciBusId_v2", by_bus_id) ||
      !Find(library.get(), "nvmlDeviceGetComputeRunningProcesses_v3", processes) || init() != kNvmlSuccess) {
    return {};
  }
  std::vector<Holder> holders;
  NvmlDevice device = nullptr;
  std::vector<NvmlProcess> found(256);
  auto count = static_cast<unsigned>(found.size());
  if (by_bus_id(pci_bus_id.c_str(), &device) == kNvmlSuccess && processes(device, &count, found.data()) == kNvmlSuccess) {
    for (unsigned i = 0; i < count; ++i) {
      if (found[i].pid == static_cast<unsigned>(::getpid()) || found[i].used_bytes == kNotAvailable) continue;
      holders.push_back({DescribeProcess(found[i].pid), found[i].used_bytes});
    }
  }
  shutdown();
  return holders;
}

}  // namespace tideline
