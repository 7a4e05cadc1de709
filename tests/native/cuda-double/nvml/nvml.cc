// A double of libnvidia-ml.so.1 for the same card: which processes hold its memory, as the board says.
#include "../board.h"  // Board

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kSuccess = 0, kInsufficientSize = 7;

struct ProcessInfo {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
};

}  // namespace

EXPORT int nvmlInit_v2() { return kSuccess; }
EXPORT int nvmlShutdown() { return kSuccess; }
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char*, void** device) {
  *device = nullptr;
  return kSuccess;
}
EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, ProcessInfo* found) {
  cuda_double::Board* board = cuda_double::OpenBoard();
  const unsigned room = *count;
  *count = 0;
  for (const cuda_double::ProcessCounts& process : board->processes) {
    if (!cuda_double::IsAlive(process) || process.contexts == 0) continue;
    if (*count < room) found[*count] = {static_cast<unsigned>(process.pid), static_cast<unsigned long long>(process.bytes), 0, 0};
    ++*count;
  }
  ::munmap(board, sizeof *board);
  return *count <= room ? kSuccess : kInsufficientSize;
}
