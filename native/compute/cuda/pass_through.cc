// PassThrough: arrays of host memory through a few megabytes of the device, both directions of the link busy at once.
#include <algorithm>
#include <array>

#include "compute/cuda/cuda_compute.h"
#include "memory/backing.h"  // kCopyPieceBytes

namespace tideline {
namespace {

constexpr size_t kSlots = 3;

// One stream for each slot of the staging memory: what comes into it waits for what goes out of it. All with the context
// current, which its user sees to.
class SlotStreams {
 public:
  // `pinned` is where the host memory begins.
  SlotStreams(const CudaStream& beside, const std::byte* pinned)
      : driver_(LaunchDriver::Load()), beside_(beside), pinned_(pinned) {}
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
    for (cuda::Stream& stream : streams_) beside_.Check(driver_.StreamCreate(&stream, cuda::kStreamNonBlocking), "cuStreamCreate");
  }
  void Bring(size_t slot, std::byte* target, const std::byte* source, uint64_t bytes) {
    InPieces(source, bytes, [&](uint64_t offset, uint64_t piece) {
      beside_.Check(driver_.MemcpyHtoDAsync(AddressOf(target + offset), source + offset, piece, streams_[slot]),
                    "cuMemcpyHtoDAsync");
    });
  }
  void TakeBack(size_t slot, std::byte* target, const std::byte* source, uint64_t bytes) {
    InPieces(target, bytes, [&](uint64_t offset, uint64_t piece) {
      beside_.Check(driver_.MemcpyDtoHAsync(target + offset, AddressOf(source + offset), piece, streams_[slot]),
                    "cuMemcpyDtoHAsync");
    });
  }
  void Wait(size_t slot) { beside_.Check(driver_.StreamSynchronize(streams_[slot]), "cuStreamSynchronize"); }

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
  const CudaStream& beside_;
  const std::byte* const pinned_;
  std::array<cuda::Stream, kSlots> streams_{};
};

}  // namespace

void CudaCompute::PassThrough(const HostArrays& host, std::span<const ElementRange> ranges, std::span<std::byte> staging,
                              const std::function<void(size_t, std::span<std::byte* const>)>& work) {
  const std::span<const HostArray> arrays = host.arrays;
  const uint64_t most = MostPassedElements(staging.size(), arrays);
  uint64_t slot_bytes = 0;
  for (const HostArray& array : arrays) slot_bytes += most * array.element_bytes;
  stream_.Run([&](cuda::Stream) {
    SlotStreams streams(stream_, arrays[0].first);
    streams.Open();
    // move(array, where its range is in the staging memory, where on the host, bytes): slot by slot, in each array by array.
    const auto each = [&](size_t index, const auto& move) {
      std::byte* place = staging.data() + index % kSlots * slot_bytes;
      for (size_t array = 0; array < arrays.size(); ++array) {
        const auto [first, element_bytes] = arrays[array];
        move(array, place, first + ranges[index].begin * element_bytes, ranges[index].elements * element_bytes);
        place += most * element_bytes;
      }
    };
    const auto bring = [&](size_t index) {
      if (index >= ranges.size() || !host.defined) return;
      each(index, [&](size_t, std::byte* place, const std::byte* on_host, uint64_t bytes) {
        streams.Bring(index % kSlots, place, on_host, bytes);
      });
    };
    bring(0);
    std::vector<std::byte*> places(arrays.size());
    for (size_t index = 0; index < ranges.size(); ++index) {
      bring(index + 1);
      streams.Wait(index % kSlots);
      each(index, [&](size_t array, std::byte* place, const std::byte*, uint64_t) { places[array] = place; });
      work(index, places);
      Finish();
      each(index, [&](size_t, const std::byte* place, std::byte* on_host, uint64_t bytes) {
        streams.TakeBack(index % kSlots, on_host, place, bytes);
      });
    }
    for (size_t slot = 0; slot < kSlots; ++slot) streams.Wait(slot);
  });
}

}  // namespace tideline
