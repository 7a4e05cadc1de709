// Bytes from one device's memory into another's: by the link between them where there is one, else through host memory.
#pragma once

#include <cstdint>

#include "memory/backing.h"   // Backing
#include "memory/device.h"    // CopyRoute
#include "memory/progress.h"  // Operation

namespace tideline {

// Between mapped addresses of two devices, which may be one. What it takes of the host meanwhile does not grow with `bytes`.
// Cancelling leaves the target half written. Errors: device_lost of either, out_of_memory (host memory to copy through),
// cancelled.
CopyRoute CopyBetween(Backing& to, uintptr_t target, Backing& from, uintptr_t source, uint64_t bytes,
                      const Operation& operation);

}  // namespace tideline
