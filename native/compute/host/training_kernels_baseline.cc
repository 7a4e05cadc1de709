// The training kernels for every x86-64: SSE2 only.
#define KERNELS_NAMESPACE training_kernels_baseline
#define KERNELS_ISA "baseline"
#include "compute/host/training_kernels_body.h"  // kTrainingKernels
