// The training kernels for AVX2 with FMA and F16C. Compiled with those flags (CMakeLists.txt): only reached after a
// CPU check.
#define KERNELS_NAMESPACE training_kernels_avx2
#define KERNELS_ISA "avx2"
#include "compute/host/training_kernels_body.h"  // kTrainingKernels
