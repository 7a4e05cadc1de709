// What the machine does without Tideline, for ratios within one run. Commands on stdin, one number per line on stdout:
//
//   small BYTES   milliseconds to malloc BYTES, write one byte per 4 KiB page, and free them
//   huge BYTES    the same with huge pages asked for, as Tideline's host device does
//   read BYTES    GB/s (10^9) that all cores read from one buffer of BYTES together, best of three passes
//
// One process for all questions, so that no answer contains the start of a process.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double CycleMilliseconds(size_t bytes, bool huge_pages) {
  const auto start = Clock::now();
  void* memory = huge_pages ? std::aligned_alloc(kHugePageBytes, bytes) : std::malloc(bytes);
  if (memory == nullptr) std::abort();
  if (huge_pages) ::madvise(memory, bytes, MADV_HUGEPAGE);
  auto* touched = static_cast<volatile uint8_t*>(memory);
  for (size_t offset = 0; offset < bytes; offset += kPageBytes) touched[offset] = 1;
  std::free(memory);
  return SecondsSince(start) * 1e3;
}

double ReadGigabytesPerSecond(size_t bytes) {
  const size_t thread_count = std::max(1u, std::thread::hardware_concurrency());
  const size_t words_each = bytes / sizeof(uint64_t) / thread_count;
  std::vector<uint64_t> buffer(words_each * thread_count, 1);
  std::vector<uint64_t> sums(thread_count);
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (size_t index = 0; index < thread_count; ++index) {
      threads.emplace_back([&, index] {
        const uint64_t* words = buffer.data() + index * words_each;
        sums[index] = std::accumulate(words, words + words_each, uint64_t{0});
      });
    }
    for (std::thread& thread : threads) thread.join();
    best = std::max(best, static_cast<double>(buffer.size() * sizeof(uint64_t)) / 1e9 / SecondsSince(start));
  }
  // The sums have to be wanted by somebody, or nothing is read.
  if (std::accumulate(sums.begin(), sums.end(), uint64_t{0}) != buffer.size()) std::abort();
  return best;
}

}  // namespace

int main() {
  char command[16];
  unsigned long long bytes = 0;
  while (std::scanf("%15s %llu", command, &bytes) == 2) {
    if (std::strcmp(command, "small") == 0) {
      std::printf("%.6f\n", CycleMilliseconds(bytes, false));
    } else if (std::strcmp(command, "huge") == 0) {
      std::printf("%.6f\n", CycleMilliseconds(bytes, true));
    } else if (std::strcmp(command, "read") == 0) {
      std::printf("%.6f\n", ReadGigabytesPerSecond(bytes));
    } else {
      return 2;
    }
    std::fflush(stdout);
  }
  return 0;
}
