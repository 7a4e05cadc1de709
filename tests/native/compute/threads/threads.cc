// Compute threads where the system has none left to give: what started does the work.
#include <sys/resource.h>

#include <atomic>
#include <cstdio>

#include "compute/host/thread_pool.h"

int main() {
  // Each thread reserves a stack of some MiB: addresses end long before threads do.
  const rlimit limit{uint64_t{512} << 20, uint64_t{512} << 20};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) return 1;
  constexpr unsigned kWanted = 1024;
  tideline::ThreadPool pool(kWanted);
  if (pool.threads() >= kWanted) {
    std::puts("the system had threads for all");
    return 1;
  }
  std::atomic<uint64_t> sum{0};
  std::atomic<bool> outside{false};
  pool.ParallelFor(1000, [&](uint64_t index, unsigned worker) {
    sum += index;
    if (worker >= pool.threads()) outside = true;
  });
  std::puts(sum == 999 * 1000 / 2 && !outside ? "all tasks done" : "tasks are missing");
}
