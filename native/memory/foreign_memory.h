// Memory of another process on the same GPU, opened by its CUDA IPC handle: what a trainer hands its weights over with, for
// one copy on the device. Sharing (sharing.h) is the other way round, and lasts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tideline {

// As cuIpcGetMemHandle gives it: of a whole allocation, wherever in it the address lies that was asked about.
using ForeignHandle = std::array<unsigned char, 64>;

// Open for as long as it lives. The other process keeps the memory, and what is in it, until then.
class ForeignMemory {
 public:
  virtual ~ForeignMemory() = default;
  virtual uint64_t bytes() const = 0;
  // To a resident address of the device. What is read lies within `bytes`. Errors: device_lost.
  virtual void CopyTo(void* target, uint64_t offset, uint64_t bytes) const = 0;
};

}  // namespace tideline
