// The kernels for AVX2 with FMA and F16C. Compiled with those flags (CMakeLists.txt): only reached after a CPU check.
#define KERNELS_NAMESPACE kernels_avx2
#define KERNELS_ISA "avx2"
#include "compute/host/kernels_body.h"  // kKernels
