// CRC-32C (Castagnoli): the checksum of disk backups and of Region contents. Uses the CPU's instruction where it has
// one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tideline {

// Continues `crc` (0 to begin) over `bytes` of `data`; the result is the finished CRC of everything so far.
uint32_t Crc32c(uint32_t crc, const void* data, size_t bytes);

// The portable table version, which Crc32c falls back to; public so that a test can compare the two.
uint32_t Crc32cPortable(uint32_t crc, const void* data, size_t bytes);

}  // namespace tideline
