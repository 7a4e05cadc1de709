#include "compute/cuda/kernel_image.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

struct EmbeddedImage {
  const char *begin, *end;
};

}  // namespace
}  // namespace tideline

#ifdef TIDELINE_EMBEDDED_KERNELS
// The build lists its images in the file that this names, one TIDELINE_EMBED("path") per line: each goes into read-only
// data, and its two addresses into a table.
#define TIDELINE_EMBED(file)                                     \
  ".balign 64\n1:\n.incbin \"" file "\"\n2:\n"                  \
  ".pushsection .data.rel.ro,\"aw\"\n.quad 1b, 2b\n.popsection\n"
__asm__(
    ".pushsection .data.rel.ro,\"aw\"\n.balign 8\ntideline_kernels_begin:\n.popsection\n"
    ".pushsection .rodata\n"
#include TIDELINE_EMBEDDED_KERNELS
    ".popsection\n"
    ".pushsection .data.rel.ro,\"aw\"\ntideline_kernels_end:\n.popsection\n");
extern "C" __attribute__((visibility("hidden"))) const tideline::EmbeddedImage tideline_kernels_begin[], tideline_kernels_end[];
#endif

namespace tideline {
namespace {

std::span<const EmbeddedImage> EmbeddedImages() {
#ifdef TIDELINE_EMBEDDED_KERNELS
  return {tideline_kernels_begin, tideline_kernels_end};
#else
  return {};
#endif
}

}  // namespace

bool HasEmbeddedKernels() { return !EmbeddedImages().empty(); }

std::vector<std::vector<char>> KernelImages() {
  std::vector<std::vector<char>> images;
  if (const char* path = std::getenv("TIDELINE_CUDA_KERNELS"); path && *path) {
    std::ifstream file(path, std::ios::binary);
    images.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (images.back().empty()) {
      throw Error("unsupported", "TIDELINE_CUDA_KERNELS cannot be read: " + std::string(path),
                  "name a file that nvcc made, or unset the variable");
    }
    images.back().push_back('\0');  // PTX ends with one
    return images;
  }
  for (const EmbeddedImage& image : EmbeddedImages()) images.emplace_back(image.begin, image.end);
  if (images.empty()) {
    throw Error("unsupported", "this build has no CUDA kernels",
                "install the CUDA toolkit (nvcc, 12 or newer) and build the addon again; the host device works without it");
  }
  return images;
}

}  // namespace tideline
