#include "compute/cuda/kernel_image.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "memory/error.h"  // Error

#ifdef TIDELINE_KERNEL_IMAGE
__asm__(
    ".pushsection .rodata\n"
    ".balign 64\n"
    ".local tideline_kernels_begin, tideline_kernels_end\n"
    "tideline_kernels_begin:\n"
    ".incbin \"" TIDELINE_KERNEL_IMAGE "\"\n"
    "tideline_kernels_end:\n"
    ".popsection\n");
extern "C" __attribute__((visibility("hidden"))) const char tideline_kernels_begin[], tideline_kernels_end[];
#endif

namespace tideline {

bool HasEmbeddedKernels() {
#ifdef TIDELINE_KERNEL_IMAGE
  return true;
#else
  return false;
#endif
}

std::vector<char> KernelImage() {
  std::vector<char> image;
  if (const char* path = std::getenv("TIDELINE_CUDA_KERNELS"); path && *path) {
    std::ifstream file(path, std::ios::binary);
    image.assign(std::istreambuf_iterator<char>(file), {});
    if (image.empty()) {
      throw Error("unsupported", "TIDELINE_CUDA_KERNELS cannot be read: " + std::string(path),
                  "name a file that nvcc made, or unset the variable");
    }
  } else {
#ifdef TIDELINE_KERNEL_IMAGE
    image.assign(tideline_kernels_begin, tideline_kernels_end);
#else
    throw Error("unsupported", "this build has no CUDA kernels",
                "install the CUDA toolkit (nvcc, 12 or newer) and build the addon again; the host device works without it");
#endif
  }
  image.push_back('\0');
  return image;
}

}  // namespace tideline
