// What the driver's own copies reach on a card, for ratios within one run: the link with pinned memory, both ways, and the
// card's memory. Commands on stdin, one line of numbers per line on stdout:
//
//   BYTES TIMES   GB/s (10^9) to the card, from it and on it, medians; a copy on the card counts once
#include "card-driver.h"

int main() {
  using namespace card;
  tideline::cuda::Context context{};
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
