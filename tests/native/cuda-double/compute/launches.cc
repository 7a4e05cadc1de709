// Modules, functions and launches: a kernel runs on the processor before its launch returns. Shared memory beyond what a GPU
// gives unasked has to have been asked for, sizes have to be those of the kernel, and grids those that a GPU has.
#include <cstdio>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "../capture.h"  // capture
#include "../card.h"     // Card, BEGIN
#include "block.h"       // FindKernel, RunGrid

using namespace cuda_double;

namespace {

constexpr int kInvalidHandle = 400, kNotFound = 500, kLaunchOutOfResources = 701, kLaunchFailed = 719;
constexpr int kMaxDynamicSharedBytes = 8;
constexpr unsigned kUsualSharedBytes = 48 << 10, kMostSharedBytes = 227 << 10;

std::map<const Kernel*, unsigned> shared_bytes_asked_for;

// Lets a kernel at all of the card's memory that has been given access, for a scope. With the card's lock held.
class AllOpened {
 public:
  explicit AllOpened(const Card& card) : card_(card) { Protect(PROT_READ | PROT_WRITE); }
  ~AllOpened() { Protect(PROT_NONE); }
  AllOpened(const AllOpened&) = delete;

 private:
  void Protect(int access) const {
    if (!Guarded()) return;
    for (const auto& [address, mapping] : card_.mappings) {
      if (mapping.access) ::mprotect(reinterpret_cast<void*>(address), mapping.bytes, access);
    }
  }
  const Card& card_;
};

// As far as it is looked at.
struct LaunchConfig {
  Index grid, block;
  unsigned shared_bytes;
  const void* stream;
};

int Launch(Card& card, const Kernel* function, Index grid, Index block, unsigned shared_bytes, const void* stream, const void* args) {
  if (stream != StreamOf(CurrentDevice())) return kInvalidHandle;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
    return kInvalidValue;
  }
  if (block.x != function->threads || block.y != 1 || block.z != 1) return kLaunchOutOfResources;
  if (shared_bytes > kUsualSharedBytes && shared_bytes > shared_bytes_asked_for[function]) return kInvalidValue;
  const auto run = [=, &card](const void* given) {
    const AllOpened opened(card);
    const std::string problem = RunGrid(*function, given, grid, shared_bytes);
    if (problem.empty()) return static_cast<int>(kSuccess);
    std::fprintf(stderr, "%s\n", problem.c_str());
    return kLaunchFailed;
  };
  if (!capture) return run(args);
  // Copied, as the driver copies them; in words, so that they lie as they have to.
  std::vector<uint64_t> kept((function->args_bytes + 7) / 8);
  std::memcpy(kept.data(), args, function->args_bytes);
  capture->nodes.emplace_back([run, kept] { return run(kept.data()); });
  return kSuccess;
}

}  // namespace

EXPORT int cuModuleLoadData(void** module, const void*) {
  BEGIN("cuModuleLoadData");
  *module = &card;
  return kSuccess;
}
EXPORT int cuModuleUnload(void*) {
  BEGIN("cuModuleUnload");
  return kSuccess;
}
EXPORT int cuModuleGetFunction(const Kernel** function, void*, const char* name) {
  BEGIN("cuModuleGetFunction");
  *function = FindKernel(name);
  return *function ? kSuccess : kNotFound;
}
EXPORT int cuFuncSetAttribute(const Kernel* function, int attribute, int value) {
  BEGIN("cuFuncSetAttribute");
  const auto bytes = static_cast<unsigned>(value);
  if (attribute != kMaxDynamicSharedBytes || bytes > kMostSharedBytes) return kInvalidValue;
  shared_bytes_asked_for[function] = bytes;
  return kSuccess;
}
EXPORT int cuLaunchKernel(const Kernel* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned threads,
                          unsigned block_y, unsigned block_z, unsigned shared_bytes, const void* stream, void** parameters, void**) {
  // Held while it runs: a block's threads are this thread, and nobody closes what it reads.
  BEGIN("cuLaunchKernel");
  return Launch(card, function, {grid_x, grid_y, grid_z}, {threads, block_y, block_z}, shared_bytes, stream, parameters[0]);
}
EXPORT int cuLaunchKernelEx(const LaunchConfig* config, const Kernel* function, void** parameters, void**) {
  BEGIN("cuLaunchKernelEx");
  return Launch(card, function, config->grid, config->block, config->shared_bytes, config->stream, parameters[0]);
}

// For the doubles of libraries that launch kernels of their own (../cublas): `work` as a launch, and whether bytes are this
// card's memory, to be asked by `work`. A card that has given out none stands aside: its user's memory is the heap's.
EXPORT int tidelineDoubleRun(const char* call, int (*work)(void*), void* argument) {
  BEGIN(call);
  if (capture) return RefuseInCapture();
  const AllOpened opened(card);
  return work(argument);
}
// The same for what a graph may repeat: `work` is kept, where one is captured.
EXPORT int tidelineDoubleGive(const char* call, const std::function<int()>& work) {
  BEGIN(call);
  const auto run = [work, &card] {
    const AllOpened opened(card);
    return work();
  };
  if (!capture) return run();
  capture->nodes.emplace_back(run);
  return kSuccess;
}
EXPORT bool tidelineDoubleHolds(const void* first, size_t bytes) {
  const Card& card = Card::Get();
  auto address = reinterpret_cast<Address>(first);
  const Address end = address + bytes;
  while (!card.mappings.empty() && address < end) {
    const auto after = card.mappings.upper_bound(address);
    if (after == card.mappings.begin()) return false;
    const auto& [start, mapping] = *std::prev(after);
    if (address >= start + mapping.bytes || !mapping.access) return false;
    address = start + mapping.bytes;
  }
  return true;
}

EXPORT int cuMemsetD8Async(Address target, unsigned char value, size_t bytes, const void* stream) {
  BEGIN("cuMemsetD8Async");
  if (capture) return RefuseInCapture();
  if (stream != StreamOf(CurrentDevice())) return kInvalidHandle;
  const Opened opened(card, target, bytes);
  std::memset(reinterpret_cast<void*>(target), value, bytes);
  return kSuccess;
}
