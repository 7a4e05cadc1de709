// The compiled kernels as the driver takes them: embedded by a build that found nvcc, or the file (fatbin, cubin or PTX)
// that the environment variable TIDELINE_CUDA_KERNELS names.
#pragma once

#include <vector>

namespace tideline {

// Whether this build has kernels of its own.
bool HasEmbeddedKernels();

// One image per source file. Error unsupported where there are none; the hint says what to install.
std::vector<std::vector<char>> KernelImages();

}  // namespace tideline
