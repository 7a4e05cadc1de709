#include "compute/host/kernels.h"

#include <cstring>

namespace tideline {

namespace kernels_baseline { extern const Kernels kKernels; }
namespace kernels_avx2 { extern const Kernels kKernels; }
namespace kernels_avx512 { extern const Kernels kKernels; }

const Kernels* KernelsFor(const char* isa) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (std::strcmp(isa, "avx512") == 0) return avx512 ? &kernels_avx512::kKernels : nullptr;
  if (std::strcmp(isa, "avx2") == 0) return avx2 ? &kernels_avx2::kKernels : nullptr;
  return std::strcmp(isa, "baseline") == 0 ? &kernels_baseline::kKernels : nullptr;
}

const Kernels& BestKernels() {
  static const Kernels& best = [&]() -> const Kernels& {
    for (const char* isa : {"avx512", "avx2"}) {
      if (const Kernels* kernels = KernelsFor(isa)) return *kernels;
    }
    return kernels_baseline::kKernels;
  }();
  return best;
}

}  // namespace tideline
