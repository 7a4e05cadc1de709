// Anonymous memory of this process: reserved on its own, and taken when that is asked for, not on first touch.
#pragma once

#include <cstdint>

#include "memory/error.h"  // Error

namespace tideline {

inline constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;

// A mapping at a multiple of kHugePageBytes, for munmap; nullptr when there is none to be had.
void* MapAligned(uint64_t bytes, int protection, int flags);

// Takes the pages of a mapping now. Error out_of_memory when the kernel says that there are none.
void Populate(void* start, uint64_t bytes);

// The same by writing to every page of a new mapping, for where other threads go on: while pages are populated, whoever changes
// the process's memory map (mmap, munmap: allocators, JavaScript's garbage collector) waits, for milliseconds at a time. No
// error says that there are no pages: see that there are before.
void Touch(void* start, uint64_t bytes);

// What the system's last call, `what`, failed with.
Error MappingError(const char* what);

}  // namespace tideline
