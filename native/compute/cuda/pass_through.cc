// PassThrough: arrays of host memory through a few megabytes of the device, both directions of the link busy at once.
#include <algorithm>
#include <array>

#include "compute/cuda/cuda_compute.h"
#include "memory/backing.h"  // kCopyPieceBytes

namespace tideline {
namespace {

constexpr size_t kSlots = 3;
constexpr unsigned kNonBlocking = 1;

// One stream for each slot of the staging memory: what comes into it waits for what goes out of it. All with the context
// current, which its user sees to.
class SlotStreams {
 public:
  // `pinned` is where the host memory begins.
  explicit SlotStreams(const std::byte* pinned) : driver_(LaunchDriver::Load()), pinned_(pinned) {}
  // Nobody may reuse the memory while a copy still runs.
  ~SlotStreams() {
    for (const cuda::Stream stream : streams_) {
      if (stream == nullptr) continue;
      driver_.StreamSynchronize(stream);
      driver_.StreamDestroy(stream);
    }
  }
  SlotStreams(const SlotStreams&) = delete;

  void Open() {
    for (cuda::Stream& stream : streams_) driver_.Check(driver_.StreamCreate(&stream, kNonBlocking), "cuStreamCreate");
  }
  void Bring(size_t slot, std::byte* target, const std::byte* source, uint64_t bytes) {
    InPieces(source, bytes, [&](uint64_t offset, uint64_t piece) {
      driver_.Check(driver_.MemcpyHtoDAsync(AddressOf(target + offset), source + offset, piece, streams_[slot]),
                    "cuMemcpyHtoDAsync");
    });
  }
  void TakeBack(size_t slot, std::byte* target, const std::byte* source, uint64_t bytes) {
    InPieces(target, bytes, [&](uint64_t offset, uint64_t piece) {
      driver_.Check(driver_.MemcpyDtoHAsync(target + offset, AddressOf(source + offset), piece, streams_[slot]),
                    "cuMemcpyDtoHAsync");
    });
  }
  void Wait(size_t slot) { driver_.Check(driver_.StreamSynchronize(streams_[slot]), "cuStreamSynchronize"); }

 private:
  // Host memory is pinned piece by piece, and no copy may cross from one piece into the next.
  template <typename Copy>
  void InPieces(const std::byte* host, uint64_t bytes, const Copy& copy) const {
    const uint64_t first = static_cast<uint64_t>(host - pinned_) % kCopyPieceBytes;
    for (uint64_t offset = 0; offset < bytes;) {
      const uint64_t piece = std::min(bytes - offset, kCopyPieceBytes - (first + offset) % kCopyPieceBytes);
      copy(offset, piece);
      offset += piece;
    }
  }
  static cuda::Address AddressOf(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

  const LaunchDriver& driver_;
  const std::byte* const pinned_;
  std::array<cuda::Stream, kSlots> streams_{};
};

}  // namespace

void CudaCompute::PassThrough(const HostArrays& arrays, std::span<const ByteRange> ranges, std::span<std::byte> staging,
                              const std::function<void(size_t, std::span<std::byte* const>)>& work) {
  const size_t count = arrays.firsts.size();
  const uint64_t most = MostPassedBytes(staging.size(), count);
  stream_.Run([&](cuda::Stream) {
    SlotStreams streams(arrays.firsts[0]);
    streams.Open();
    const auto at = [&](size_t index, size_t array) {
      return staging.data() + (index % kSlots * count + array) * most;
    };
    const auto bring = [&](size_t index) {
      if (index >= ranges.size() || !arrays.defined) return;
      for (size_t array = 0; array < count; ++array) {
        streams.Bring(index % kSlots, at(index, array), arrays.firsts[array] + ranges[index].offset, ranges[index].bytes);
      }
    };
    bring(0);
    std::vector<std::byte*> places(count);
    for (size_t index = 0; index < ranges.size(); ++index) {
      bring(index + 1);
      streams.Wait(index % kSlots);
      for (size_t array = 0; array < count; ++array) places[array] = at(index, array);
      work(index, places);
      Finish();
      for (size_t array = 0; array < count; ++array) {
        streams.TakeBack(index % kSlots, arrays.firsts[array] + ranges[index].offset, places[array], ranges[index].bytes);
      }
    }
    for (size_t slot = 0; slot < kSlots; ++slot) streams.Wait(slot);
  });
}

}  // namespace tideline
