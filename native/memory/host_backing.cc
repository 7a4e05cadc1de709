// Anonymous memory, parked and moved. mremap with MREMAP_DONTUNMAP leaves the emptied range mapped, so no other thread
// of the process can allocate into a region or into a chunk's parking place while they are empty.
#include "memory/host_backing.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "memory/host_memory.h"  // MapAligned, Touch
#include "memory/parallel.h"     // ForPieces

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace tideline {
namespace {

// Threads touch and copy in pieces of this.
constexpr uint64_t kPieceBytes = uint64_t{8} << 20;
// Each chunk can cost two mappings, and the kernel allows a process 65530.
constexpr uint64_t kMostChunks = 8192;
// Left to the rest of the system when chunks are created.
constexpr uint64_t kChunkReserveBytes = uint64_t{128} << 20;

void* At(uintptr_t address) { return reinterpret_cast<void*>(address); }

// Anonymous memory that is there, not promised.
void* AllocateTouched(uint64_t bytes, const Operation& operation) {
  const uint64_t available = AvailableMachineBytes();
  if (available < bytes + kChunkReserveBytes) {
    throw Error("out_of_memory", "the machine has " + std::to_string(available >> 20) + " MiB left, " +
                                     std::to_string(bytes >> 20) + " MiB more were asked for");
  }
  void* start = MapAligned(bytes, PROT_READ | PROT_WRITE, 0);
  if (!start) throw MappingError("reserving memory");
  if (bytes >= kHugePageBytes) ::madvise(start, bytes, MADV_HUGEPAGE);  // faster where it is allowed
  try {
    auto* base = static_cast<char*>(start);
    ForPieces(bytes, kPieceBytes, operation, [base](uint64_t offset, uint64_t piece) { Touch(base + offset, piece); });
  } catch (...) {
    ::munmap(start, bytes);
    throw;
  }
  return start;
}

// Moves the pages of `bytes` from one range to another, both of which stay mapped.
bool MovePages(uintptr_t from, uintptr_t to, uint64_t bytes) {
  return ::mremap(At(from), bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, At(to)) != MAP_FAILED;
}

// Replaces whatever is mapped there by a reservation.
bool ReserveAgain(uintptr_t address, uint64_t bytes) {
  return ::mmap(At(address), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
         MAP_FAILED;
}

void CheckKernel() {
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  void* from = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* to = ::mmap(nullptr, page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool moved = from != MAP_FAILED && to != MAP_FAILED &&
                     MovePages(reinterpret_cast<uintptr_t>(from), reinterpret_cast<uintptr_t>(to), page_bytes);
  if (from != MAP_FAILED) ::munmap(from, page_bytes);
  if (to != MAP_FAILED) ::munmap(to, page_bytes);
  if (!moved) {
    throw Error("device_unavailable", "the kernel cannot move pages between mappings (MREMAP_DONTUNMAP)",
                "Linux 5.7 or newer is needed");
  }
}

}  // namespace

std::string DescribeHost() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  std::string model = "CPU";
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) model = line.substr(colon + 2);
    break;
  }
  char gibibytes[32];
  std::snprintf(gibibytes, sizeof gibibytes, "%.1f GiB", static_cast<double>(TotalMachineBytes()) / (1 << 30));
  return model + ", " + gibibytes;
}

std::unique_ptr<HostBacking> HostBacking::Open(uint64_t capacity_bytes, uint64_t chunk_bytes) {
  CheckKernel();
  if (chunk_bytes == 0) chunk_bytes = std::max(kHugePageBytes, std::bit_ceil(capacity_bytes / kMostChunks));
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  if (chunk_bytes % page_bytes != 0) {
    throw Error("bad_argument", "chunkBytes must be a multiple of the page size, " + std::to_string(page_bytes))
        .WithField("chunkBytes");
  }
  return std::unique_ptr<HostBacking>(new HostBacking(chunk_bytes));
}

HostBacking::HostBacking(uint64_t chunk_bytes)
    : Backing(chunk_bytes, chunk_bytes), context_bytes_(resident_set_.Bytes()), description_(DescribeHost()) {}

uintptr_t HostBacking::Reserve(uint64_t bytes) {
  void* start = MapAligned(bytes, PROT_NONE, MAP_NORESERVE);
  if (!start) throw MappingError("reserving addresses");
  return reinterpret_cast<uintptr_t>(start);
}

void HostBacking::Unreserve(uintptr_t address, uint64_t bytes) noexcept { ::munmap(At(address), bytes); }

std::vector<Chunk> HostBacking::Create(std::span<const uint64_t> sizes, const Operation& operation) {
  std::vector<Chunk> chunks(sizes.size());
  if (sizes.empty()) return chunks;
  const auto start = reinterpret_cast<uintptr_t>(AllocateTouched(sizes.size() * chunk_bytes(), operation));
  for (size_t i = 0; i < sizes.size(); ++i) chunks[i] = {start + i * chunk_bytes(), chunk_bytes()};
  return chunks;
}

size_t HostBacking::RunLength(std::span<const Chunk> chunks, size_t first) const {
  size_t next = first + 1;
  while (next < chunks.size() && chunks[next].id == chunks[next - 1].id + chunk_bytes()) ++next;
  return next - first;
}

template <typename Move>
size_t HostBacking::MoveRuns(std::span<const Chunk> chunks, Move move) const {
  for (size_t first = 0; first < chunks.size();) {
    const size_t end = first + RunLength(chunks, first);
    if (move(first, (end - first) * chunk_bytes())) {
      first = end;
      continue;
    }
    // EFAULT: neighbours that the kernel keeps as several mappings. Chunk by chunk then.
    if (errno != EFAULT) return first;
    for (; first < end; ++first) {
      if (!move(first, chunk_bytes())) return first;
    }
  }
  return chunks.size();
}

void HostBacking::Destroy(std::span<const Chunk> chunks) noexcept {
  for (size_t first = 0; first < chunks.size();) {
    const size_t run = RunLength(chunks, first);
    ::munmap(At(chunks[first].id), run * chunk_bytes());
    first += run;
  }
}

void HostBacking::Map(uintptr_t address, std::span<const Chunk> chunks) {
  const size_t moved = MoveRuns(chunks, [&](size_t i, uint64_t bytes) {
    return MovePages(chunks[i].id, address + i * chunk_bytes(), bytes);
  });
  if (moved == chunks.size()) return;
  const Error error = MappingError("mapping a chunk");
  for (size_t i = 0; i < moved; ++i) MovePages(address + i * chunk_bytes(), chunks[i].id, chunk_bytes());
  ReserveAgain(address, chunks.size() * chunk_bytes());
  throw error;
}

void HostBacking::Unmap(uintptr_t address, std::span<const Chunk> chunks) {
  const size_t moved = MoveRuns(chunks, [&](size_t i, uint64_t bytes) {
    return MovePages(address + i * chunk_bytes(), chunks[i].id, bytes);
  });
  if (moved < chunks.size()) {
    const Error error = MappingError("unmapping a chunk");
    for (size_t i = 0; i < moved; ++i) MovePages(chunks[i].id, address + i * chunk_bytes(), chunk_bytes());
    throw error;
  }
  // One mapping without access again. If even that fails, the range stays mapped and empty, which costs nothing.
  ReserveAgain(address, chunks.size() * chunk_bytes());
}

void HostBacking::CopyToHost(void* target, uintptr_t source, uint64_t bytes, const Operation& operation) {
  ForPieces(bytes, kPieceBytes, operation, [&](uint64_t offset, uint64_t piece) {
    std::memcpy(static_cast<char*>(target) + offset, At(source + offset), piece);
  });
}

void HostBacking::CopyFromHost(uintptr_t target, const void* source, uint64_t bytes, const Operation& operation) {
  ForPieces(bytes, kPieceBytes, operation, [&](uint64_t offset, uint64_t piece) {
    std::memcpy(At(target + offset), static_cast<const char*>(source) + offset, piece);
  });
}

void HostBacking::CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes, const Operation& operation) {
  CopyFromHost(target, At(source), bytes, operation);
}

SystemFigures HostBacking::ReadFigures(uint64_t capacity_bytes, uint64_t host_backup_bytes) {
  const uint64_t resident = resident_set_.Bytes();
  return {context_bytes_, resident > host_backup_bytes ? resident - host_backup_bytes : 0,
          context_bytes_ + capacity_bytes};
}

uint64_t HostBacking::AvailableBytes() {
  const uint64_t available = AvailableMachineBytes();
  return available > kChunkReserveBytes ? available - kChunkReserveBytes : 0;
}

int HostBacking::Export(const Chunk&) {
  throw Error("unsupported", "the host device's memory cannot be mapped by other processes", "share a region of a cuda device");
}

std::string HostBacking::Uuid() { throw Error("unsupported", "the host device has no UUID"); }

Backing::ForeignRange HostBacking::OpenForeign(const ForeignHandle&) {
  throw Error("unsupported", "the host device cannot open memory of other processes", "put the engine on a cuda device");
}

}  // namespace tideline
