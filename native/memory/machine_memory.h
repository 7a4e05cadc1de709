// What Linux says about the memory of this machine and this process. The only file of native/ that reads /proc and
// cgroups.
#pragma once

#include <cstdint>

namespace tideline {

// What this process could still take before the kernel kills somebody: MemAvailable, and what each memory cgroup above
// us leaves (its page cache counted as free, because it can be dropped).
uint64_t AvailableMachineBytes();
// All of the machine's memory, or the tightest cgroup limit if that is less.
uint64_t TotalMachineBytes();

// Resident set of this process; keeps /proc/self/statm open, because it is read at up to 1000 Hz.
class ResidentSet {
 public:
  ResidentSet();
  ~ResidentSet();
  ResidentSet(const ResidentSet&) = delete;

  uint64_t Bytes() const;

 private:
  int file_;
  uint64_t page_bytes_;
};

}  // namespace tideline
