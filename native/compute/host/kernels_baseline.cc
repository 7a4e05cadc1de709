// The kernels for any x86-64 (SSE2).
#define KERNELS_NAMESPACE kernels_baseline
#define KERNELS_ISA "baseline"
#include "compute/host/kernels_body.h"  // kKernels
