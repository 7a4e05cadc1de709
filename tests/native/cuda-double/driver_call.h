// How a process of its own in the tests calls the driver: by name, and a call that fails ends it with a line that says so.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

inline void* library = nullptr;

template <typename... Arguments>
void Call(const char* name, Arguments... arguments) {
  const auto function = reinterpret_cast<int (*)(Arguments...)>(::dlsym(library, name));
  const int result = function ? function(arguments...) : -1;
  if (result == 0) return;
  std::printf("%s failed: %d\n", name, result);
  std::exit(1);
}

// NVIDIA's, or the one that TIDELINE_CUDA_DRIVER names.
inline void LoadDriver() {
  const char* driver = std::getenv("TIDELINE_CUDA_DRIVER");
  library = ::dlopen(driver ? driver : "libcuda.so.1", RTLD_NOW);
}
