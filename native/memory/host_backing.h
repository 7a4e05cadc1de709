// HostBacking: the `host` device. A chunk is anonymous memory in a parking area; mapping it into a region moves its
// page tables there (mremap), unmapping moves them back. Nothing is copied, and destroying a chunk really gives its
// pages back to the system: the process's resident set falls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "memory/backing.h"         // Backing
#include "memory/machine_memory.h"  // ResidentSet

namespace tideline {

class HostBacking final : public Backing {
 public:
  // chunk_bytes 0: 2 MiB (a huge page), more when the capacity would make too many chunks for the kernel's limit on
  // mappings. Errors: bad_argument, device_unavailable (a kernel before Linux 5.7).
  static std::unique_ptr<HostBacking> Open(uint64_t capacity_bytes, uint64_t chunk_bytes);

  const std::string& description() const override { return description_; }
  bool is_host() const override { return true; }

  uintptr_t Reserve(uint64_t bytes) override;
  void Unreserve(uintptr_t address, uint64_t bytes) noexcept override;
  std::vector<Chunk> Create(std::span<const uint64_t> sizes, const Operation& operation) override;
  void Destroy(std::span<const Chunk> chunks) noexcept override;
  void Map(uintptr_t address, std::span<const Chunk> chunks) override;
  void Unmap(uintptr_t address, std::span<const Chunk> chunks) override;
  void CopyToHost(void* target, uintptr_t source, uint64_t bytes, const Operation& operation) override;
  void CopyFromHost(uintptr_t target, const void* source, uint64_t bytes, const Operation& operation) override;
  void CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes, const Operation& operation) override;
  void Pin(void*, uint64_t) override {}
  void Unpin(void*, uint64_t) noexcept override {}
  void Synchronize() override {}
  SystemFigures ReadFigures(uint64_t capacity_bytes, uint64_t host_backup_bytes) override;
  uint64_t AvailableBytes() override;
  std::vector<Holder> OtherHolders() override { return {}; }
  [[noreturn]] int Export(const Chunk& chunk) override;
  [[noreturn]] std::string Uuid() override;
  [[noreturn]] ForeignRange OpenForeign(const ForeignHandle& handle) override;
  void CloseForeign(uintptr_t) noexcept override {}

 private:
  explicit HostBacking(uint64_t chunk_bytes);
  // How many chunks from `first` on are neighbours: they are moved and freed by one call.
  size_t RunLength(std::span<const Chunk> chunks, size_t first) const;
  // Calls move(index of first chunk, bytes) for runs of neighbours; returns how many chunks were moved before the first
  // failure.
  template <typename Move>
  size_t MoveRuns(std::span<const Chunk> chunks, Move move) const;

  const ResidentSet resident_set_;
  const uint64_t context_bytes_;
  const std::string description_;
};

// "AMD EPYC …, 64 GiB", for probes too.
std::string DescribeHost();

}  // namespace tideline
