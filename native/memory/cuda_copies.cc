// Copies of a CUDA device's memory: to the host and back, within it and from another one, in pieces between which an operation can be
// cancelled; and the one beside which the memory is given back.
#include <algorithm>
#include <array>

#include "memory/cuda_backing_parts.h"  // Insist, Current

namespace tideline {
namespace {

// Giving memory back takes a driver at most a sixteenth of the time that it is copied in.
constexpr uint64_t kVacatedBeside = 16;

}  // namespace

// Two, for pieces to alternate between; with a context that is current all the while.
class CudaBacking::CopyStreams {
 public:
  explicit CopyStreams(const CudaBacking& backing) : CopyStreams(backing.driver_) {
    for (cuda::Stream& stream : streams_) backing.Check(driver_.StreamCreate(&stream, cuda::kStreamNonBlocking), "cuStreamCreate");
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

bool CudaBacking::Admit(cuda::Ordinal card, uintptr_t first, uint64_t bytes) {
  const Current current(*this);
  const cuda::AccessDescriptor access{{cuda::kLocationDevice, card}, cuda::kAccessReadWrite};
  const std::lock_guard lock(mapped_mutex_);
  for (auto at = std::prev(mapped_.upper_bound(first)); at != mapped_.end() && at->first < first + bytes; ++at) {
    auto& [address, chunk] = *at;
    if (std::ranges::find(chunk.admitted, card) != chunk.admitted.end()) continue;
    const cuda::Result result = driver_.MemSetAccess(address, chunk.bytes, &access, 1);
    if (result != cuda::kSuccess && result != cuda::kOutOfMemory && !cuda::IsLost(result)) return false;
    Check(result, "cuMemSetAccess");
    chunk.admitted.push_back(card);
  }
  return true;
}

bool CudaBacking::CopyFromPeer(uintptr_t target, Backing& other, uintptr_t source, uint64_t bytes,
                               const Operation& operation) {
  auto* const peer = dynamic_cast<CudaBacking*>(&other);
  if (peer == nullptr) return false;
  peer->RefuseLost();
  // A card that was opened twice needs no link.
  const bool is_other_card = peer->primary_->device != primary_->device;
  if (is_other_card && !(Reaches(*peer) && peer->Admit(primary_->device, source, bytes))) return false;
  CopyPieces(bytes, operation, [&](uint64_t offset, uint64_t piece, cuda::Stream stream) {
    return driver_.MemcpyPeerAsync(target + offset, primary_->context, source + offset, peer->primary_->context, piece, stream);
  });
  return true;
}

}  // namespace tideline
