// The driver's calls in the order that never leaves a half-made mapping: create all, map all, give access once; unmap
// only after everything on the device has finished.
#include "memory/cuda_backing.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "memory/machine_memory.h"  // AvailableMachineBytes
#include "memory/nvml.h"            // ProcessesOnGpu
#include "memory/parallel.h"        // ForPieces

namespace tideline {
namespace {

constexpr uint64_t kDefaultChunkBytes = uint64_t{32} << 20;
// Large enough for full link speed, small enough to cancel and to show progress.
constexpr uint64_t kCopyPieceBytes = uint64_t{32} << 20;
constexpr uint64_t kHostReserveBytes = uint64_t{512} << 20;
// cuMemGetInfo takes the driver's lock: at most 20 times a second.
constexpr int64_t kFiguresNanoseconds = 50'000'000;

int64_t NowNanoseconds() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Makes a context current on this thread for a scope.
class Current {
 public:
  Current(const CudaDriver& driver, cuda::Context context) : driver_(driver), result_(driver.ContextPush(context)) {}
  ~Current() {
    cuda::Context popped;
    if (result_ == cuda::kSuccess) driver_.ContextPop(&popped);
  }
  Current(const Current&) = delete;
  cuda::Result result() const { return result_; }

 private:
  const CudaDriver& driver_;
  const cuda::Result result_;
};

std::string NameOf(const CudaDriver& driver, cuda::Ordinal device) {
  char name[256] = "";
  return driver.DeviceGetName(name, sizeof name - 1, device) == cuda::kSuccess ? name : "CUDA device";
}

}  // namespace

CudaBacking::Primary::~Primary() {
  if (context) driver->PrimaryContextRelease(device);
}

std::unique_ptr<CudaBacking> CudaBacking::Open(int ordinal, uint64_t chunk_bytes) {
  auto primary = std::make_unique<Primary>();
  primary->driver = CudaDriver::Load();
  const CudaDriver& driver = *primary->driver;
  int count = 0;
  driver.DeviceGetCount(&count);
  if (ordinal >= count || driver.DeviceGet(&primary->device, ordinal) != cuda::kSuccess) {
    throw Error("device_unavailable", "there is no cuda:" + std::to_string(ordinal) + ": the driver knows " +
                                          std::to_string(count) + " devices");
  }
  const cuda::Result result = driver.PrimaryContextRetain(&primary->context, primary->device);
  if (result != cuda::kSuccess) {
    primary->context = nullptr;
    throw Error("device_unavailable", "cuda:" + std::to_string(ordinal) + " cannot be opened: " + driver.Describe(result),
                result == cuda::kOutOfMemory ? "other processes hold its memory" : "");
  }
  const Current current(driver, primary->context);
  cuda::AllocationProperties properties{};
  properties.type = cuda::kAllocationPinned;
  properties.location = {cuda::kLocationDevice, primary->device};
  size_t granularity = 0;
  if (driver.MemGetAllocationGranularity(&granularity, &properties, cuda::kGranularityMinimum) != cuda::kSuccess ||
      granularity == 0) {
    throw Error("device_unavailable", "cuda:" + std::to_string(ordinal) + " has no virtual memory management");
  }
  if (chunk_bytes == 0) chunk_bytes = kDefaultChunkBytes;
  chunk_bytes = (chunk_bytes + granularity - 1) / granularity * granularity;
  return std::unique_ptr<CudaBacking>(new CudaBacking(std::move(primary), chunk_bytes));
}

CudaBacking::CudaBacking(std::unique_ptr<Primary> primary, uint64_t chunk_bytes)
    : Backing(chunk_bytes), primary_(std::move(primary)), driver_(*primary_->driver) {
  const SystemFigures figures = ReadFigures(0, 0);
  context_bytes_ = figures.used_bytes;
  char gibibytes[32];
  std::snprintf(gibibytes, sizeof gibibytes, ", %.1f GiB", static_cast<double>(figures.total_bytes) / (1 << 30));
  description_ = NameOf(driver_, primary_->device) + gibibytes;
}

CudaBacking::~CudaBacking() = default;

void CudaBacking::Check(cuda::Result result, const char* what) const {
  if (result == cuda::kSuccess) return;
  const std::string message = std::string(what) + ": " + driver_.Describe(result);
  if (result == cuda::kOutOfMemory) throw Error("out_of_memory", message);
  if (result == cuda::kInvalidValue) throw Error("internal", message);
  // What remains (illegal address, hardware, launch failures) stays with the context until the process ends.
  throw Error("device_lost", message, "the GPU's state is gone: start Tideline again");
}

cuda::AllocationProperties CudaBacking::Properties() const {
  cuda::AllocationProperties properties{};
  properties.type = cuda::kAllocationPinned;
  properties.location = {cuda::kLocationDevice, primary_->device};
  return properties;
}

uintptr_t CudaBacking::Reserve(uint64_t bytes) {
  const Current current(driver_, primary_->context);
  cuda::Address address = 0;
  Check(driver_.MemAddressReserve(&address, bytes, 0, 0, 0), "cuMemAddressReserve");
  return address;
}

void CudaBacking::Unreserve(uintptr_t address, uint64_t bytes) noexcept {
  const Current current(driver_, primary_->context);
  driver_.MemAddressFree(address, bytes);
}

std::vector<Chunk> CudaBacking::Create(size_t count, const Operation& operation) {
  const Current current(driver_, primary_->context);
  const cuda::AllocationProperties properties = Properties();
  std::vector<Chunk> chunks;
  chunks.reserve(count);
  try {
    while (chunks.size() < count) {
      cuda::AllocationHandle handle = 0;
      Check(driver_.MemCreate(&handle, chunk_bytes(), &properties, 0), "cuMemCreate");
      chunks.push_back(handle);
      operation.Step(chunks.size() * chunk_bytes(), count * chunk_bytes());
    }
  } catch (...) {
    Destroy(chunks);
    throw;
  }
  return chunks;
}

void CudaBacking::Destroy(std::span<const Chunk> chunks) noexcept {
  const Current current(driver_, primary_->context);
  for (const Chunk chunk : chunks) driver_.MemRelease(chunk);
}

void CudaBacking::Map(uintptr_t address, std::span<const Chunk> chunks) {
  const Current current(driver_, primary_->context);
  size_t mapped = 0;
  try {
    for (; mapped < chunks.size(); ++mapped) {
      Check(driver_.MemMap(address + mapped * chunk_bytes(), chunk_bytes(), 0, chunks[mapped], 0), "cuMemMap");
    }
    const cuda::AccessDescriptor access{{cuda::kLocationDevice, primary_->device}, cuda::kAccessReadWrite};
    Check(driver_.MemSetAccess(address, chunks.size() * chunk_bytes(), &access, 1), "cuMemSetAccess");
  } catch (...) {
    UnmapFirst(address, mapped);
    throw;
  }
}

void CudaBacking::UnmapFirst(uintptr_t address, size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) driver_.MemUnmap(address + i * chunk_bytes(), chunk_bytes());
}

void CudaBacking::Unmap(uintptr_t address, std::span<const Chunk> chunks) {
  const Current current(driver_, primary_->context);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const cuda::Result result = driver_.MemUnmap(address + i * chunk_bytes(), chunk_bytes());
    if (result == cuda::kSuccess) continue;
    Map(address, chunks.first(i));
    Check(result, "cuMemUnmap");
  }
}

template <typename Copy>
void CudaBacking::CopyPieces(uint64_t bytes, const Operation& operation, Copy copy) {
  const Current current(driver_, primary_->context);
  Check(current.result(), "cuCtxPushCurrent");
  struct Streams {
    const CudaDriver& driver;
    std::array<cuda::Stream, 2> streams{};
    ~Streams() {
      for (cuda::Stream stream : streams) {
        if (stream) driver.StreamDestroy(stream);
      }
    }
  } owned{driver_};
  constexpr unsigned kNonBlocking = 1;
  for (cuda::Stream& stream : owned.streams) Check(driver_.StreamCreate(&stream, kNonBlocking), "cuStreamCreate");

  try {
    uint64_t finished = 0;
    uint64_t offset = 0;
    for (size_t piece = 0; offset < bytes; ++piece) {
      const cuda::Stream stream = owned.streams[piece % 2];
      if (piece >= 2) {
        // The piece before last was on this stream: it is done when the stream is.
        Check(driver_.StreamSynchronize(stream), "cuStreamSynchronize");
        finished += kCopyPieceBytes;
        operation.Step(finished, bytes);
      }
      const uint64_t piece_bytes = std::min(kCopyPieceBytes, bytes - offset);
      Check(copy(offset, piece_bytes, stream), "cuMemcpyAsync");
      offset += piece_bytes;
    }
    for (cuda::Stream stream : owned.streams) Check(driver_.StreamSynchronize(stream), "cuStreamSynchronize");
    operation.Step(bytes, bytes);
  } catch (...) {
    // Nobody may unmap or reuse the memory while a copy still runs; that this fails too changes nothing any more.
    for (cuda::Stream stream : owned.streams) driver_.StreamSynchronize(stream);
    throw;
  }
}

void CudaBacking::CopyToHost(void* target, uintptr_t source, uint64_t bytes, const Operation& operation) {
  CopyPieces(bytes, operation, [&](uint64_t offset, uint64_t piece, cuda::Stream stream) {
    return driver_.MemcpyDtoHAsync(static_cast<char*>(target) + offset, source + offset, piece, stream);
  });
}

void CudaBacking::CopyFromHost(uintptr_t target, const void* source, uint64_t bytes, const Operation& operation) {
  CopyPieces(bytes, operation, [&](uint64_t offset, uint64_t piece, cuda::Stream stream) {
    return driver_.MemcpyHtoDAsync(target + offset, static_cast<const char*>(source) + offset, piece, stream);
  });
}

void CudaBacking::CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes) {
  CopyPieces(bytes, {}, [&](uint64_t offset, uint64_t piece, cuda::Stream stream) {
    return driver_.MemcpyDtoDAsync(target + offset, source + offset, piece, stream);
  });
}

void* CudaBacking::AllocateHost(uint64_t bytes, const Operation& operation) {
  // Touching with many threads and registering, because cuMemHostAlloc touches with one.
  if (AvailableMachineBytes() < bytes + kHostReserveBytes) {
    throw Error("out_of_memory", "the machine has too little memory left for a backup of " + std::to_string(bytes) + " bytes",
                "back up to disk");
  }
  void* buffer = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED) throw Error("out_of_memory", "no address space for a backup buffer");
  ::madvise(buffer, bytes, MADV_HUGEPAGE);
  try {
    ForPieces(bytes, kCopyPieceBytes, operation, [&](uint64_t offset, uint64_t piece) {
      auto* at = static_cast<volatile char*>(buffer) + offset;
      for (uint64_t i = 0; i < piece; i += 4096) at[i] = 0;
    });
    const Current current(driver_, primary_->context);
    Check(driver_.MemHostRegister(buffer, bytes, 0), "cuMemHostRegister");
  } catch (...) {
    ::munmap(buffer, bytes);
    throw;
  }
  return buffer;
}

void CudaBacking::FreeHost(void* buffer, uint64_t bytes) noexcept {
  {
    const Current current(driver_, primary_->context);
    driver_.MemHostUnregister(buffer);
  }
  ::munmap(buffer, bytes);
}

void CudaBacking::Synchronize() {
  const Current current(driver_, primary_->context);
  Check(driver_.ContextSynchronize(), "cuCtxSynchronize");
}

SystemFigures CudaBacking::ReadFigures(uint64_t, uint64_t) {
  const int64_t now = NowNanoseconds();
  if (now - figures_nanoseconds_ > kFiguresNanoseconds) {
    const std::unique_lock lock(figures_mutex_, std::try_to_lock);
    if (lock) {
      const Current current(driver_, primary_->context);
      size_t free = 0;
      size_t total = 0;
      if (driver_.MemGetInfo(&free, &total) == cuda::kSuccess) {
        used_bytes_ = total - free;
        total_bytes_ = total;
        figures_nanoseconds_ = now;
      }
    }
  }
  return {context_bytes_, used_bytes_, total_bytes_};
}

uint64_t CudaBacking::AvailableBytes() {
  const Current current(driver_, primary_->context);
  size_t free = 0;
  size_t total = 0;
  return driver_.MemGetInfo(&free, &total) == cuda::kSuccess ? free : 0;
}

std::vector<Holder> CudaBacking::OtherHolders() {
  char bus_id[32] = "";
  if (driver_.DeviceGetPciBusId(bus_id, sizeof bus_id, primary_->device) != cuda::kSuccess) return {};
  return ProcessesOnGpu(bus_id);
}

std::vector<DeviceProbe> ProbeCuda() noexcept {
  std::vector<DeviceProbe> probes;
  DeviceProbe none;
  none.name = "cuda";
  none.description = "CUDA";
  try {
    const std::shared_ptr<const CudaDriver> driver = CudaDriver::Load();
    int version = 0;
    int count = 0;
    driver->DriverGetVersion(&version);
    driver->DeviceGetCount(&count);
    const std::string version_text = std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
    for (int i = 0; i < count; ++i) {
      DeviceProbe probe;
      probe.name = "cuda:" + std::to_string(i);
      probe.driver_version = version_text;
      cuda::Ordinal device = 0;
      size_t total = 0;
      const cuda::Result result = driver->DeviceGet(&device, i);
      if (result != cuda::kSuccess || driver->DeviceTotalMem(&total, device) != cuda::kSuccess) {
        probe.problem = "it cannot be asked: " + driver->Describe(result);
      }
      probe.description = NameOf(*driver, device);
      // Asking for what is free needs a context, which takes half a gigabyte: not for a probe.
      probe.total_bytes = probe.free_bytes = total;
      probes.push_back(std::move(probe));
    }
    none.driver_version = version_text;
    none.problem = "the driver is there but no device";
  } catch (const std::exception& error) {
    none.problem = error.what();
  }
  if (probes.empty()) probes.push_back(std::move(none));
  return probes;
}

}  // namespace tideline
