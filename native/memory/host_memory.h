// Anonymous memory of this process: reserved on its own, and taken when that is asked for, not on first touch.
#pragma once

#include <cstdint>

#include "memory/error.h"  // Error

namespace tideline {

inline constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;

// A mapping at a multiple of kHugePageBytes, for munmap; nullptr when there is none to be had.
void* MapAligned(uint64_t bytes, int protection, int flags);

// Takes the pages of a new mapping now, by writing to every one. See that there are as many before: the kernel ends a process
// that takes more than there are.
//
// Not by madvise(MADV_POPULATE_WRITE): while it takes pages, whoever changes the process's memory map (mmap, munmap: allocators,
// JavaScript's garbage collector) waits, for milliseconds at a time. It would end the process just the same: ENOMEM it says only
// in a memory cgroup whose killer somebody turned off (tried with version 1; version 2 has no such switch).
void Touch(void* start, uint64_t bytes);

// What the system's last call, `what`, failed with.
Error MappingError(const char* what);

}  // namespace tideline
