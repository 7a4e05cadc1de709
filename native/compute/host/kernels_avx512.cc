// The kernels for AVX-512 F, BW, VL and DQ. Compiled with those flags (CMakeLists.txt): only reached after a CPU check.
#define KERNELS_NAMESPACE kernels_avx512
#define KERNELS_ISA "avx512"
#include "compute/host/kernels_body.h"  // kKernels
