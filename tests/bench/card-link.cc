// What the driver's own copies reach on a card, for ratios within one run: the link with pinned memory, both ways, and the
// card's memory. Commands on stdin, one line of numbers per line on stdout:
//
//   BYTES TIMES   GB/s (10^9) to the card, from it and on it, medians; a copy on the card counts once
//
// It loads the driver itself: neither a toolkit nor Tideline is needed.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using Address = unsigned long long;
using Clock = std::chrono::steady_clock;

void* library = nullptr;

template <typename... Arguments>
void Call(const char* name, Arguments... arguments) {
  const auto function = reinterpret_cast<int (*)(Arguments...)>(::dlsym(library, name));
  const int result = function ? function(arguments...) : -1;
  if (result == 0) return;
  std::fprintf(stderr, "%s failed: %d\n", name, result);
  std::exit(1);
}

template <typename Copy>
double GigabytesPerSecond(size_t bytes, int times, const Copy& copy) {
  copy();
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

}  // namespace

int main() {
  library = ::dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return 1;
  }
  void* context = nullptr;
  Call("cuInit", 0u);
  Call("cuDevicePrimaryCtxRetain", &context, 0);
  Call("cuCtxPushCurrent_v2", context);
  size_t bytes = 0;
  int times = 0;
  while (std::scanf("%zu %d", &bytes, &times) == 2) {
    void* host = nullptr;
    Address first = 0, second = 0;
    Call("cuMemHostAlloc", &host, bytes, 0u);
    Call("cuMemAlloc_v2", &first, bytes);
    Call("cuMemAlloc_v2", &second, bytes);
    std::printf("%.6f", GigabytesPerSecond(bytes, times, [&] { Call("cuMemcpyHtoD_v2", first, static_cast<const void*>(host), bytes); }));
    std::printf(" %.6f", GigabytesPerSecond(bytes, times, [&] { Call("cuMemcpyDtoH_v2", host, first, bytes); }));
    std::printf(" %.6f\n", GigabytesPerSecond(bytes, times, [&] { Call("cuMemcpyDtoD_v2", second, first, bytes); }));
    std::fflush(stdout);
    Call("cuMemFree_v2", first);
    Call("cuMemFree_v2", second);
    Call("cuMemFreeHost", host);
  }
}
