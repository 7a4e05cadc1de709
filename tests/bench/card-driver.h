// The driver by itself, for programs that measure what its own copies reach: it is loaded here, so that neither a toolkit nor
// Tideline is needed to run them; only the ABI's types are taken from Tideline's header.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "memory/cuda_driver.h"  // cuda::Address and other types of the ABI

namespace card {

using tideline::cuda::Address;

inline void* Library() {
  static void* const library = ::dlopen("libcuda.so.1", RTLD_NOW);
  if (library) return library;
  std::fprintf(stderr, "%s\n", ::dlerror());
  std::exit(1);
}

// Ends the program where the driver refuses.
template <typename... Arguments>
void Call(const char* name, Arguments... arguments) {
  const auto function = reinterpret_cast<int (*)(Arguments...)>(::dlsym(Library(), name));
  const int result = function ? function(arguments...) : -1;
  if (result == 0) return;
  std::fprintf(stderr, "%s failed: %d\n", name, result);
  std::exit(1);
}

// The median over `times`, after one more that does not count; 10^9 bytes.
template <typename Copy>
double GigabytesPerSecond(size_t bytes, int times, const Copy& copy) {
  using Clock = std::chrono::steady_clock;
  copy();
  Call("cuCtxSynchronize");
  std::vector<double> seconds;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    copy();
    Call("cuCtxSynchronize");
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + times / 2, seconds.end());
  return static_cast<double>(bytes) / 1e9 / seconds[times / 2];
}

}  // namespace card
