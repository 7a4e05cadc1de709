// Managed memory of the first GPU, through the driver, for on-gpu.sh. Nothing where the double plays the GPU.
#ifdef TIDELINE_ON_GPU
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "check.h"

namespace compute_check {
namespace {

using Address = unsigned long long;

template <typename Function>
Function Find(void* library, const char* name) {
  return reinterpret_cast<Function>(::dlsym(library, name));
}

void Expect(int result, const char* what) {
  if (result == 0) return;
  std::printf("FAIL %s: %d\n", what, result);
  std::exit(1);
}

struct Driver {
  int (*allocate)(Address*, size_t, unsigned);
  int (*free)(Address);

  Driver() {
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) Expect(1, "libcuda.so.1 is not there");
    allocate = Find<decltype(allocate)>(library, "cuMemAllocManaged");
    free = Find<decltype(free)>(library, "cuMemFree_v2");
    void* context = nullptr;
    Expect(Find<int (*)(unsigned)>(library, "cuInit")(0), "cuInit");
    Expect(Find<int (*)(void**, int)>(library, "cuDevicePrimaryCtxRetain")(&context, 0), "cuDevicePrimaryCtxRetain");
    Expect(Find<int (*)(void*)>(library, "cuCtxPushCurrent_v2")(context), "cuCtxPushCurrent");
  }
};

const Driver& TheDriver() {
  static const Driver driver;
  return driver;
}

}  // namespace

void* AllocateManaged(size_t bytes) {
  constexpr unsigned kGlobal = 1;
  Address address = 0;
  Expect(TheDriver().allocate(&address, bytes, kGlobal), "cuMemAllocManaged");
  return reinterpret_cast<void*>(address);
}
void FreeManaged(void* memory) { TheDriver().free(reinterpret_cast<Address>(memory)); }

}  // namespace compute_check
#endif
