// CudaBacking: a CUDA device through the driver's virtual memory calls. Chunks are allocation handles, mapped into
// reserved ranges; backups are pinned host memory, copied on two streams.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "memory/backing.h"       // Backing
#include "memory/cuda_driver.h"   // CudaDriver
#include "memory/delayed_task.h"  // DelayedTask
#include "memory/device.h"        // DeviceProbe

namespace tideline {

class CudaBacking final : public Backing {
 public:
  // chunk_bytes 0: from the device's granularity (2 MiB) to 2 GiB, as regions need them; else all chunks have that size,
  // rounded up to the granularity. Errors: device_unavailable.
  static std::unique_ptr<CudaBacking> Open(int ordinal, uint64_t chunk_bytes);
  ~CudaBacking() override;

  const std::string& description() const override { return description_; }
  bool is_host() const override { return false; }

  uintptr_t Reserve(uint64_t bytes) override;
  void Unreserve(uintptr_t address, uint64_t bytes) noexcept override;
  std::vector<Chunk> Create(std::span<const uint64_t> sizes, const Operation& operation) override;
  void Destroy(std::span<const Chunk> chunks) noexcept override;
  void Map(uintptr_t address, std::span<const Chunk> chunks) override;
  void Unmap(uintptr_t address, std::span<const Chunk> chunks) override;
  void CopyToHost(void* target, uintptr_t source, uint64_t bytes, const Operation& operation) override;
  bool Vacate(void* target, uintptr_t address, std::span<const Chunk> chunks, const Operation& operation) override;
  void CopyFromHost(uintptr_t target, const void* source, uint64_t bytes, const Operation& operation) override;
  void CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes, const Operation& operation) override;
  bool CopyFromPeer(uintptr_t target, Backing& peer, uintptr_t source, uint64_t bytes, const Operation& operation) override;
  void Pin(void* first, uint64_t bytes) override;
  void Unpin(void* first, uint64_t bytes) noexcept override;
  void Synchronize() override;
  SystemFigures ReadFigures(uint64_t capacity_bytes, uint64_t host_backup_bytes) override;
  uint64_t AvailableBytes() override;
  std::vector<Holder> OtherHolders() override;
  std::optional<std::string> Lost() const override;
  void Close() noexcept override;
  int Export(const Chunk& chunk) override;
  std::string Uuid() override;
  ForeignRange OpenForeign(const ForeignHandle& handle) override;
  void CloseForeign(uintptr_t address) noexcept override;

 private:
  // The primary context of one device, held until Close.
  struct Primary {
    std::shared_ptr<const CudaDriver> driver;
    cuda::Ordinal device;
    cuda::Context context = nullptr;
    ~Primary() { Release(); }
    void Release() noexcept;
  };

  class Current;
  class CopyStreams;

  CudaBacking(std::unique_ptr<Primary> primary, const cuda::AllocationProperties& properties, uint64_t granularity_bytes,
              uint64_t chunk_bytes, uint64_t largest_chunk_bytes);
  // Throws for anything but success; `what` is the call.
  void Check(cuda::Result result, const char* what) const;
  // The first loss is the one that is told from then on; `said` as in cuda::LostError.
  void MarkLost(const std::string& said) const;
  void RefuseLost() const;
  // Whether copies from the other device need no memory of the host.
  bool Reaches(const CudaBacking& peer) const;
  // Lets another card use what is mapped from `first` on, until it is unmapped: cuCtxEnablePeerAccess says nothing of memory
  // that was mapped by hand, and a driver may pass through the host what the card that copies has no access to (PyTorch
  // admits peers to its expandable segments likewise, c10/cuda/CUDACachingAllocator.cpp). False where it may not be let in.
  bool Admit(cuda::Ordinal card, uintptr_t first, uint64_t bytes);
  // The driver's count of what is used, into the figures.
  cuda::Result AskFigures();
  // Pieces alternate between two streams; `copy` enqueues one.
  template <typename Copy>
  void CopyPieces(uint64_t bytes, const Operation& operation, Copy copy);
  // A driver clears what it got back by and by, and books that at the next creation, which then takes milliseconds for
  // gigabytes: a small one, when nobody waits for it.
  void Settle() noexcept;
  // Undoes the mapping of chunks without a word.
  void Forget(uintptr_t address, std::span<const Chunk> chunks) noexcept;

  struct MappedChunk {
    uint64_t bytes;
    std::vector<cuda::Ordinal> admitted;  // besides its own card
  };

  const std::unique_ptr<Primary> primary_;
  const CudaDriver& driver_;
  const cuda::AllocationProperties properties_;
  const uint64_t granularity_bytes_;
  std::string description_;
  mutable std::mutex lost_mutex_;
  mutable std::optional<Error> lost_error_;
  mutable std::atomic<bool> lost_{false};
  uint64_t context_bytes_ = 0;
  std::mutex figures_mutex_;  // asking the driver is slow: one asks, the others take the last answer; Close waits for it
  bool closed_ = false;
  std::atomic<int64_t> figures_nanoseconds_{0};
  std::atomic<uint64_t> used_bytes_{0}, total_bytes_{0};
  std::mutex mapped_mutex_;
  std::map<uintptr_t, MappedChunk> mapped_;  // by address
  std::mutex create_mutex_;  // what settling has for a moment is missing to nobody
  DelayedTask settling_;
};

// One probe per CUDA device, or one named "cuda" with the reason why there is none.
std::vector<DeviceProbe> ProbeCuda() noexcept;

}  // namespace tideline
