// The training kernels for AVX-512. Compiled with those flags (CMakeLists.txt): only reached after a CPU check.
#define KERNELS_NAMESPACE training_kernels_avx512
#define KERNELS_ISA "avx512"
#include "compute/host/training_kernels_body.h"  // kTrainingKernels
