// The driver's calls in the order that never leaves a half-made mapping: create all, map all, give access once; unmap
// only after everything on the device has finished.
#include "memory/cuda_backing.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>

#include "memory/cuda_backing_parts.h"  // Insist, Current
#include "memory/nvml.h"                // ProcessesOnGpu

namespace tideline {
namespace {

// 16 GiB of such are mapped in 0.7 ms, half of what 1 GiB takes; above it nothing is gained.
constexpr uint64_t kLargestChunkBytes = uint64_t{2} << 30;
// Of less the driver's booking is not felt. It has cleared gigabytes in less than this delay.
constexpr uint64_t kSettledBytes = uint64_t{256} << 20;
constexpr std::chrono::milliseconds kSettleDelay{50};
// cuMemGetInfo takes the driver's lock: at most 20 times a second.
constexpr int64_t kFiguresNanoseconds = 50'000'000;

int64_t NowNanoseconds() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

void CudaBacking::Primary::Release() noexcept {
  if (context) Insist([&] { return driver->PrimaryContextRelease(device); });
  context = nullptr;
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
  cuda::Result result = driver.PrimaryContextRetain(&primary->context, primary->device);
  if (result != cuda::kSuccess) {
    primary->context = nullptr;
    throw Error("device_unavailable", "cuda:" + std::to_string(ordinal) + " cannot be opened: " + driver.Describe(result),
                result == cuda::kOutOfMemory ? "other processes hold its memory" : "");
  }
  cuda::AllocationProperties properties{};
  properties.type = cuda::kAllocationPinned;
  properties.location = {cuda::kLocationDevice, primary->device};
  int supported = 0;
  // So that other processes can map a region. It costs nothing until one does.
  if (driver.DeviceGetAttribute(&supported, cuda::kFileDescriptorsSupported, primary->device) == cuda::kSuccess && supported) {
    properties.requested_handle_types = cuda::kHandleFileDescriptor;
  }
  size_t granularity = 0;
  {
    const Current current(*primary);
    result = driver.MemGetAllocationGranularity(&granularity, &properties, cuda::kGranularityMinimum);
  }
  if (result != cuda::kSuccess || granularity == 0) {
    throw Error("device_unavailable",
                "cuda:" + std::to_string(ordinal) + " has no virtual memory management: " + driver.Describe(result));
  }
  uint64_t smallest = granularity, largest = granularity;
  if (chunk_bytes == 0) {
    while (2 * largest <= kLargestChunkBytes) largest *= 2;
  } else {
    smallest = largest = (chunk_bytes + granularity - 1) / granularity * granularity;
  }
  return std::unique_ptr<CudaBacking>(new CudaBacking(std::move(primary), properties, granularity, smallest, largest));
}

CudaBacking::CudaBacking(std::unique_ptr<Primary> primary, const cuda::AllocationProperties& properties,
                         uint64_t granularity_bytes, uint64_t chunk_bytes, uint64_t largest_chunk_bytes)
    : Backing(chunk_bytes, largest_chunk_bytes),
      primary_(std::move(primary)),
      driver_(*primary_->driver),
      properties_(properties),
      granularity_bytes_(granularity_bytes),
      settling_(kSettleDelay, [this] { Settle(); }) {
  if (const cuda::Result result = AskFigures(); result != cuda::kSuccess) {
    throw Error("device_unavailable", "cuda:" + std::to_string(primary_->device) +
                                          " does not say how much memory is free: " + driver_.Describe(result));
  }
  context_bytes_ = used_bytes_;
  char gibibytes[32];
  std::snprintf(gibibytes, sizeof gibibytes, ", %.1f GiB", static_cast<double>(total_bytes_) / (1 << 30));
  description_ = driver_.NameOf(primary_->device) + gibibytes;
}

CudaBacking::~CudaBacking() = default;

void CudaBacking::Close() noexcept {
  settling_.Stop();
  const std::lock_guard lock(figures_mutex_);
  closed_ = true;
  primary_->Release();
}

void CudaBacking::Check(cuda::Result result, const char* what) const {
  if (result == cuda::kSuccess) return;
  const std::string message = std::string(what) + ": " + driver_.Describe(result);
  if (cuda::IsLost(result)) MarkLost(message);
  RefuseLost();
  throw Error(result == cuda::kOutOfMemory ? "out_of_memory" : "internal", message);
}

void CudaBacking::MarkLost(const std::string& said) const {
  const std::lock_guard lock(lost_mutex_);
  if (!lost_error_) lost_error_ = cuda::LostError(primary_->device, said);
  lost_ = true;
}

std::optional<std::string> CudaBacking::Lost() const {
  if (!lost_) return std::nullopt;
  const std::lock_guard lock(lost_mutex_);
  return lost_error_->what();
}

void CudaBacking::RefuseLost() const {
  if (!lost_) return;
  const std::lock_guard lock(lost_mutex_);
  throw Error(*lost_error_);
}

uintptr_t CudaBacking::Reserve(uint64_t bytes) {
  const Current current(*this);
  cuda::Address address = 0;
  Check(driver_.MemAddressReserve(&address, bytes, 0, 0, 0), "cuMemAddressReserve");
  return address;
}

void CudaBacking::Unreserve(uintptr_t address, uint64_t bytes) noexcept {
  const Current current(*primary_);
  Insist([&] { return driver_.MemAddressFree(address, bytes); });
}

std::vector<Chunk> CudaBacking::Create(std::span<const uint64_t> sizes, const Operation& operation) {
  const Current current(*this);
  const uint64_t total_bytes = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
  uint64_t created_bytes = 0;
  const std::lock_guard lock(create_mutex_);
  std::vector<Chunk> chunks;
  chunks.reserve(sizes.size());
  try {
    for (const uint64_t bytes : sizes) {
      cuda::AllocationHandle handle = 0;
      Check(driver_.MemCreate(&handle, bytes, &properties_, 0), "cuMemCreate");
      chunks.push_back({handle, bytes});
      created_bytes += bytes;
      operation.Step(created_bytes, total_bytes);
    }
  } catch (...) {
    Destroy(chunks);
    throw;
  }
  return chunks;
}

void CudaBacking::Destroy(std::span<const Chunk> chunks) noexcept {
  if (chunks.empty()) return;
  const Current current(*primary_);
  for (const Chunk& chunk : chunks) Insist([&] { return driver_.MemRelease(chunk.id); });
  if (BytesOf(chunks) >= kSettledBytes) settling_.Ask();
}

void CudaBacking::Settle() noexcept {
  if (lost_) return;
  const Current current(*primary_);
  const std::lock_guard lock(create_mutex_);
  cuda::AllocationHandle handle = 0;
  if (driver_.MemCreate(&handle, granularity_bytes_, &properties_, 0) != cuda::kSuccess) return;  // whoever needs it is told
  Insist([&] { return driver_.MemRelease(handle); });
}

void CudaBacking::Map(uintptr_t address, std::span<const Chunk> chunks) {
  const Current current(*this);
  size_t mapped = 0;
  uint64_t offset = 0;
  try {
    for (; mapped < chunks.size(); ++mapped) {
      const auto& [handle, bytes] = chunks[mapped];
      Check(driver_.MemMap(address + offset, bytes, 0, handle, 0), "cuMemMap");
      offset += bytes;
    }
    const cuda::AccessDescriptor access{{cuda::kLocationDevice, primary_->device}, cuda::kAccessReadWrite};
    Check(driver_.MemSetAccess(address, offset, &access, 1), "cuMemSetAccess");
  } catch (...) {
    Forget(address, chunks.first(mapped));
    throw;
  }
  const std::lock_guard lock(mapped_mutex_);
  for (const Chunk& chunk : chunks) {
    mapped_[address] = {chunk.bytes, {}};
    address += chunk.bytes;
  }
}

void CudaBacking::Forget(uintptr_t address, std::span<const Chunk> chunks) noexcept {
  const std::lock_guard lock(mapped_mutex_);
  for (const Chunk& chunk : chunks) {
    mapped_.erase(address);
    Insist([&] { return driver_.MemUnmap(address, chunk.bytes); });
    address += chunk.bytes;
  }
}

void CudaBacking::Unmap(uintptr_t address, std::span<const Chunk> chunks) {
  const Current current(*this);
  uint64_t offset = 0;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const cuda::Result result = driver_.MemUnmap(address + offset, chunks[i].bytes);
    if (result == cuda::kSuccess) {
      const std::lock_guard lock(mapped_mutex_);
      mapped_.erase(address + offset);
      offset += chunks[i].bytes;
      continue;
    }
    if (i > 0 && !cuda::IsLost(result)) Map(address, chunks.first(i));
    Check(result, "cuMemUnmap");
  }
}

void CudaBacking::Pin(void* first, uint64_t bytes) {
  const Current current(*this);
  Check(driver_.MemHostRegister(first, bytes, 0), "cuMemHostRegister");
}

void CudaBacking::Unpin(void* first, uint64_t) noexcept {
  const Current current(*primary_);
  Insist([&] { return driver_.MemHostUnregister(first); });
}

void CudaBacking::Synchronize() {
  const Current current(*this);
  Check(driver_.ContextSynchronize(), "cuCtxSynchronize");
}

cuda::Result CudaBacking::AskFigures() {
  const Current current(*primary_);
  size_t free = 0;
  size_t total = 0;
  const cuda::Result result = driver_.MemGetInfo(&free, &total);
  if (result == cuda::kSuccess) {
    used_bytes_ = total - free;
    total_bytes_ = total;
    figures_nanoseconds_ = NowNanoseconds();
  } else if (cuda::IsLost(result)) {
    MarkLost("cuMemGetInfo: " + driver_.Describe(result));
  }
  return result;
}

SystemFigures CudaBacking::ReadFigures(uint64_t, uint64_t) {
  if (!lost_ && NowNanoseconds() - figures_nanoseconds_ > kFiguresNanoseconds) {
    const std::unique_lock lock(figures_mutex_, std::try_to_lock);
    if (lock && !closed_) AskFigures();
  }
  return {context_bytes_, used_bytes_, total_bytes_};
}

uint64_t CudaBacking::AvailableBytes() {
  const std::lock_guard lock(figures_mutex_);
  return AskFigures() == cuda::kSuccess ? total_bytes_ - used_bytes_ : 0;
}

std::vector<Holder> CudaBacking::OtherHolders() {
  char bus_id[32] = "";
  if (driver_.DeviceGetPciBusId(bus_id, sizeof bus_id, primary_->device) != cuda::kSuccess) return {};
  return ProcessesOnGpu(bus_id);
}

int CudaBacking::Export(const Chunk& chunk) {
  if (properties_.requested_handle_types != cuda::kHandleFileDescriptor) {
    throw Error("unsupported", description_ + " cannot share memory with other processes");
  }
  const Current current(*this);
  int file = -1;
  Check(driver_.MemExportToShareableHandle(&file, chunk.id, cuda::kHandleFileDescriptor, 0), "cuMemExportToShareableHandle");
  return file;
}

std::string CudaBacking::Uuid() {
  cuda::Uuid uuid;
  Check(driver_.DeviceGetUuid(&uuid, primary_->device), "cuDeviceGetUuid");
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid.bytes[i]);
    text += digits;
  }
  return text;
}

Backing::ForeignRange CudaBacking::OpenForeign(const ForeignHandle& handle) {
  cuda::IpcHandle given;
  static_assert(sizeof given.bytes == sizeof handle);
  std::copy(handle.begin(), handle.end(), given.bytes);
  const Current current(*this);
  cuda::Address address = 0;
  const cuda::Result result = driver_.IpcOpenMemHandle(&address, given, cuda::kIpcLazyPeerAccess);
  if (result != cuda::kSuccess && result != cuda::kOutOfMemory && !cuda::IsLost(result)) {
    throw Error("not_resident", "memory of another process cannot be opened: " + driver_.Describe(result),
                "it has to stay allocated there until the copy is done, and to be another process's: hand it over again");
  }
  Check(result, "cuIpcOpenMemHandle");
  cuda::Address base = 0;
  size_t bytes = 0;
  try {
    Check(driver_.MemGetAddressRange(&base, &bytes, address), "cuMemGetAddressRange");
  } catch (...) {
    CloseForeign(address);
    throw;
  }
  return {address, base + bytes - address};
}

void CudaBacking::CloseForeign(uintptr_t address) noexcept {
  const Current current(*primary_);
  Insist([&] { return driver_.IpcCloseMemHandle(address); });
}

}  // namespace tideline
