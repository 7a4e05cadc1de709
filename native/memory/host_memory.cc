#include "memory/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace tideline {

void* MapAligned(uint64_t bytes, int protection, int flags) {
  const uint64_t padded = bytes + kHugePageBytes;
  void* raw = ::mmap(nullptr, padded, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto start = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = (start + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  if (aligned > start) ::munmap(raw, aligned - start);
  const uintptr_t end = aligned + bytes;
  if (start + padded > end) ::munmap(reinterpret_cast<void*>(end), start + padded - end);
  return reinterpret_cast<void*>(aligned);
}

void Touch(void* start, uint64_t bytes) {
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  auto* at = static_cast<volatile unsigned char*>(start);
  for (uint64_t offset = 0; offset < bytes; offset += page_bytes) at[offset] = 0;
}

Error MappingError(const char* what) {
  const int number = errno;
  return Error("out_of_memory", std::string(what) + " failed: " + std::strerror(number),
               number == ENOMEM ? "the kernel's limit on mappings or address space was reached: use larger chunks" : "");
}

}  // namespace tideline
