// Long byte work (touching, copying, reading) cut into pieces, on several threads, with progress and cancellation.
#pragma once

#include <cstdint>
#include <functional>

#include "memory/progress.h"  // Operation

namespace tideline {

// Calls work(offset, bytes) for consecutive pieces of [0, total_bytes), each at most piece_bytes, on up to
// hardware-many (8 at most) threads in no particular order. The first exception stops the rest and is thrown here;
// `operation` is stepped after each piece, by one thread at a time.
void ForPieces(uint64_t total_bytes, uint64_t piece_bytes, const Operation& operation,
               const std::function<void(uint64_t offset, uint64_t bytes)>& work);

}  // namespace tideline
