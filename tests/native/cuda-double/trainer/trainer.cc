// A process that has weights of its own on the GPU and hands them over by CUDA IPC: two allocations, of NVIDIA's driver or of
// the one that TIDELINE_CUDA_DRIVER names, filled with a file's bytes before and after where it is told to split them. Prints
// the GPU's UUID and the two handles, a line each. `free` frees them, the end of its standard input ends it.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "../driver_call.h"

int main(int, char** arguments) {
  std::ifstream file(arguments[1], std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const size_t split = std::strtoull(arguments[2], nullptr, 10);
  LoadDriver();
  Call("cuInit", 0u);
  unsigned char uuid[16];
  Call("cuDeviceGetUuid", static_cast<void*>(uuid), 0);
  std::printf("GPU-");
  for (int i = 0; i < 16; ++i) std::printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  std::puts("");
  void* context = nullptr;
  Call("cuDevicePrimaryCtxRetain", &context, 0);
  Call("cuCtxPushCurrent_v2", context);
  void* stream = nullptr;
  Call("cuStreamCreate", &stream, 1u);
  std::vector<unsigned long long> allocations;
  for (const auto& [begin, end] : {std::pair{size_t{0}, split}, std::pair{split, bytes.size()}}) {
    unsigned long long address = 0;
    Call("cuMemAlloc_v2", &address, end - begin);
    Call("cuMemcpyHtoDAsync_v2", address, static_cast<const void*>(bytes.data() + begin), end - begin, stream);
    unsigned char handle[64];
    Call("cuIpcGetMemHandle", static_cast<void*>(handle), address);
    for (const unsigned char byte : handle) std::printf("%02x", byte);
    std::puts("");
    allocations.push_back(address);
  }
  Call("cuStreamSynchronize", stream);
  std::fflush(stdout);
  for (std::string command; std::cin >> command;) {
    for (const unsigned long long address : allocations) Call("cuMemFree_v2", address);
    allocations.clear();
    std::puts("freed");
    std::fflush(stdout);
  }
}
