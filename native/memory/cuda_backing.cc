// The driver's calls in the order that never leaves a half-made mapping: create all, map all, give access once; unmap
// only after everything on the device has finished.
#include "memory/cuda_backing.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <string_view>

#include "memory/nvml.h"  // ProcessesOnGpu

namespace tideline {
namespace {

// Above it nothing is gained: 16 GiB map in 1.2 ms.
constexpr uint64_t kLargestChunkBytes = uint64_t{1} << 30;
// Of less the driver's booking is not felt. It has cleared gigabytes in less than this delay.
constexpr uint64_t kSettledBytes = uint64_t{256} << 20;
constexpr std::chrono::milliseconds kSettleDelay{50};
// Giving memory back takes a driver at most a sixteenth of the time that it is copied in.
constexpr uint64_t kVacatedBeside = 16;
// cuMemGetInfo takes the driver's lock: at most 20 times a second.
constexpr int64_t kFiguresNanoseconds = 50'000'000;

int64_t NowNanoseconds() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Nobody can be told that giving back failed, and what was not given back is gone: a driver that is short of memory for a
// moment is asked again.
template <typename Call>
cuda::Result Insist(const Call& call) {
  const cuda::Result result = call();
  return result == cuda::kSuccess ? result : call();
}

}  // namespace

// Makes the context current on this thread for a scope.
class CudaBacking::Current {
 public:
  explicit Current(const Primary& primary)
      : driver_(*primary.driver), result_(Insist([&] { return driver_.ContextPush(primary.context); })) {}
  // The same before calls that can fail: error device_lost without asking the driver once that is so.
  explicit Current(const CudaBacking& backing) : Current(*backing.primary_) {
    backing.RefuseLost();
    backing.Check(result_, "cuCtxPushCurrent");
  }
  ~Current() {
    cuda::Context popped;
    if (result_ == cuda::kSuccess) Insist([&] { return driver_.ContextPop(&popped); });
  }
  Current(const Current&) = delete;

 private:
  const CudaDriver& driver_;
  const cuda::Result result_;
};

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

void CudaBacking::MarkLost(const std::string& message) const {
  const std::lock_guard lock(lost_mutex_);
  if (!lost_.exchange(true)) lost_message_ = message;
}

std::optional<std::string> CudaBacking::Lost() const {
  if (!lost_) return std::nullopt;
  const std::lock_guard lock(lost_mutex_);
  return lost_message_;
}

void CudaBacking::RefuseLost() const {
  if (const std::optional<std::string> message = Lost()) {
    throw Error("device_lost", "the GPU stopped answering, and what it held is gone: " + *message,
                "choose the device again; if it still does not answer, start Tideline again");
  }
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
}

void CudaBacking::Forget(uintptr_t address, std::span<const Chunk> chunks) noexcept {
  for (const Chunk& chunk : chunks) {
    Insist([&] { return driver_.MemUnmap(address, chunk.bytes); });
    address += chunk.bytes;
  }
}

void CudaBacking::Unmap(uintptr_t address, std::span<const Chunk> chunks) {
  const Current current(*this);
  uint64_t offset = 0;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const cuda::Result result = driver_.MemUnmap(address + offset, chunks[i].bytes);
    offset += chunks[i].bytes;
    if (result == cuda::kSuccess) continue;
    if (i > 0 && !cuda::IsLost(result)) Map(address, chunks.first(i));
    Check(result, "cuMemUnmap");
  }
}

// Two, for pieces to alternate between; with a context that is current all the while.
class CudaBacking::CopyStreams {
 public:
  explicit CopyStreams(const CudaBacking& backing) : CopyStreams(backing.driver_) {
    constexpr unsigned kNonBlocking = 1;
    for (cuda::Stream& stream : streams_) backing.Check(driver_.StreamCreate(&stream, kNonBlocking), "cuStreamCreate");
  }
  ~CopyStreams() {
    for (cuda::Stream stream : streams_) {
      if (stream) Insist([&] { return driver_.StreamDestroy(stream); });
    }
  }
  CopyStreams(const CopyStreams&) = delete;

  cuda::Stream of(size_t piece) const { return streams_[piece % streams_.size()]; }
  // What is on its way has arrived, or never will.
  cuda::Result Finish() const {
    cuda::Result first = cuda::kSuccess;
    for (cuda::Stream stream : streams_) {
      const cuda::Result result = Insist([&] { return driver_.StreamSynchronize(stream); });
      if (first == cuda::kSuccess) first = result;
    }
    return first;
  }

 private:
  // By itself, so that one that was created goes when the other cannot be.
  explicit CopyStreams(const CudaDriver& driver) : driver_(driver) {}

  const CudaDriver& driver_;
  std::array<cuda::Stream, 2> streams_{};
};

template <typename Copy>
void CudaBacking::CopyPieces(uint64_t bytes, const Operation& operation, Copy copy) {
  const Current current(*this);
  const CopyStreams streams(*this);
  try {
    uint64_t finished = 0;
    uint64_t offset = 0;
    for (size_t piece = 0; offset < bytes; ++piece) {
      const cuda::Stream stream = streams.of(piece);
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
    for (const size_t piece : {0, 1}) Check(driver_.StreamSynchronize(streams.of(piece)), "cuStreamSynchronize");
    operation.Step(bytes, bytes);
  } catch (...) {
    streams.Finish();  // nobody may unmap or reuse the memory while a copy still runs
    throw;
  }
}

bool CudaBacking::Vacate(void* target, uintptr_t address, std::span<const Chunk> chunks, const Operation& operation) {
  const uint64_t bytes = BytesOf(chunks);
  size_t kept = 1;
  while (BytesOf(chunks.last(kept)) < bytes / kVacatedBeside) ++kept;
  const std::span<const Chunk> first = chunks.first(chunks.size() - kept), last = chunks.last(kept);
  const uint64_t first_bytes = BytesOf(first);
  const Operation copying{.cancellation = operation.cancellation, .on_progress = [&](uint64_t done, uint64_t) {
                            if (operation.on_progress) operation.on_progress(done, bytes);
                          }};
  CopyToHost(target, address, first_bytes, copying);
  const Current current(*this);
  const CopyStreams streams(*this);
  try {
    for (uint64_t offset = first_bytes; offset < bytes; offset += kCopyPieceBytes) {
      Check(driver_.MemcpyDtoHAsync(static_cast<char*>(target) + offset, address + offset,
                                    std::min(kCopyPieceBytes, bytes - offset), streams.of(offset / kCopyPieceBytes)),
            "cuMemcpyAsync");
    }
    Unmap(address, first);
  } catch (...) {
    streams.Finish();
    throw;
  }
  // From here on nothing fails but the device itself.
  Destroy(first);
  const cuda::Result arrived = streams.Finish();
  if (arrived != cuda::kSuccess) MarkLost("cuStreamSynchronize: " + driver_.Describe(arrived));
  Forget(address + first_bytes, last);
  Destroy(last);
  return arrived == cuda::kSuccess;
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

void CudaBacking::CopyOnDevice(uintptr_t target, uintptr_t source, uint64_t bytes, const Operation& operation) {
  CopyPieces(bytes, operation, [&](uint64_t offset, uint64_t piece, cuda::Stream stream) {
    return driver_.MemcpyDtoDAsync(target + offset, source + offset, piece, stream);
  });
}

bool CudaBacking::Reaches(const CudaBacking& peer) const {
  int reachable = 0;
  if (driver_.DeviceCanAccessPeer(&reachable, primary_->device, peer.primary_->device) != cuda::kSuccess || !reachable) {
    return false;
  }
  const Current current(*this);
  const cuda::Result result = driver_.ContextEnablePeerAccess(peer.primary_->context, 0);
  if (result == cuda::kPeerAccessUnsupported || result == cuda::kTooManyPeers) return false;
  if (result != cuda::kPeerAccessAlreadyEnabled) Check(result, "cuCtxEnablePeerAccess");
  return true;
}

bool CudaBacking::CopyFromPeer(uintptr_t target, Backing& other, uintptr_t source, uint64_t bytes,
                               const Operation& operation) {
  const auto* const peer = dynamic_cast<const CudaBacking*>(&other);
  if (peer == nullptr) return false;
  peer->RefuseLost();
  // A card that was opened twice needs no link.
  if (peer->primary_->device != primary_->device && !Reaches(*peer)) return false;
  CopyPieces(bytes, operation, [&](uint64_t offset, uint64_t piece, cuda::Stream stream) {
    return driver_.MemcpyPeerAsync(target + offset, primary_->context, source + offset, peer->primary_->context, piece, stream);
  });
  return true;
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
