// The board: one page of memory through which the doubles of CUDA and NVML are told what to do and say what they did. It
// is the file that TIDELINE_DOUBLE_BOARD names, mapped by every process that has a double loaded and written by the tests
// (cuda-double.ts has the same layout), so that the doubles' processes share the machine's cards.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace cuda_double {

constexpr int kMostDevices = 2;

// What one process has of the cards, and has not given back: of all together, then of each.
struct ProcessCounts {
  int64_t pid;
  int64_t bytes, allocations, mappings, reservations;
  int64_t contexts, current_contexts, streams, registered_buffers;
  int64_t device_bytes[kMostDevices], device_contexts[kMostDevices];
  int64_t lost[kMostDevices];  // the result that all calls give once the device is lost
  int64_t reserved;
};

struct Board {
  // Written by tests. `countdown` 0: nothing fails. The call that counts it down to 0 fails with `result`, and every call
  // after it too when `sticky`. `call` names the only call that counts; empty: all but cuMemGetInfo, whose number depends
  // on the clock.
  int64_t countdown, result, sticky;
  char call[40];
  // Written by the doubles: calls that counted since a test last set it to 0.
  int64_t calls;
  // Copies between cards whose memory the copying one was not let into, which a driver may pass through the host.
  int64_t unadmitted_copies;
  int64_t reserved[6];
  ProcessCounts processes[16];
};
static_assert(sizeof(ProcessCounts) == 128 && sizeof(Board) == 128 + 16 * 128);

inline Board* OpenBoard() {
  const char* path = std::getenv("TIDELINE_DOUBLE_BOARD");
  const int file = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
  const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* page = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, flags, file, 0);
  if (file >= 0) ::close(file);
  return static_cast<Board*>(page);
}

inline bool IsAlive(const ProcessCounts& process) {
  return process.pid != 0 && (::kill(static_cast<pid_t>(process.pid), 0) == 0 || errno == EPERM);
}

}  // namespace cuda_double
