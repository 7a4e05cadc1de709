// PassThrough: arrays of host memory through a few megabytes of the device, both directions of the link busy at once.
#include <array>

#include "compute/cuda/cuda_compute.h"

namespace tideline {
namespace {

constexpr size_t kSlots = 3;
constexpr unsigned kNonBlocking = 1;

// One stream for each slot of the staging memory: what comes into it waits for what goes out of it. All with the context
// current, which its user sees to.
class SlotStreams {
 public:
  SlotStreams() : driver_(LaunchDriver::Load()) {}
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
    driver_.Check(driver_.MemcpyHtoDAsync(AddressOf(target), source, bytes, streams_[slot]), "cuMemcpyHtoDAsync");
  }
  void TakeBack(size_t slot, std::byte* target, const std::byte* source, uint64_t bytes) {
    driver_.Check(driver_.MemcpyDtoHAsync(target, AddressOf(source), bytes, streams_[slot]), "cuMemcpyDtoHAsync");
  }
  void Wait(size_t slot) { driver_.Check(driver_.StreamSynchronize(streams_[slot]), "cuStreamSynchronize"); }

 private:
  static cuda::Address AddressOf(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

  const LaunchDriver& driver_;
  std::array<cuda::Stream, kSlots> streams_{};
};

}  // namespace

void CudaCompute::PassThrough(const HostArrays& arrays, std::span<const ByteRange> ranges, std::span<std::byte> staging,
                              const std::function<void(size_t, std::span<std::byte* const>)>& work) {
  const size_t count = arrays.firsts.size();
  const uint64_t most = MostPassedBytes(staging.size(), count);
  stream_.Run([&](cuda::Stream) {
    SlotStreams streams;
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
