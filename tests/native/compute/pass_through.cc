// Arrays that stay in host memory, pinned as a region's backup is: piece by piece, with arrays that begin and ranges that end
// anywhere within a piece.
#include "check.h"

#include "memory/device.h"  // OpenDevice

namespace compute_check {

void CheckPassThrough() {
  constexpr uint64_t kStateBytes = uint64_t{160} << 20, kArrayBytes = (uint64_t{75} << 20) + 4096;
  constexpr uint64_t kStagingBytes = uint64_t{3} << 20;
  const auto device = OpenDevice("cuda:0", kStateBytes, 0);
  const auto region = device->CreateRegion("policy.optimizer", "optimizer", kStateBytes);
  region->TakeOnHost();
  auto* state = static_cast<std::byte*>(region->HostData());
  Pair pair({.rows = 1, .threads = 1});
  Bytes staging(kStagingBytes);
  std::vector<std::byte*> arrays{state, state + kArrayBytes};
  const uint64_t most = Compute::MostPassedBytes(kStagingBytes, arrays.size());
  std::vector<ByteRange> ranges;
  for (uint64_t offset = 0; offset < kArrayBytes; offset += most) {
    ranges.push_back({offset, std::min(most, kArrayBytes - offset)});
  }
  for (uint64_t i = 0; i < kArrayBytes / sizeof(uint64_t); ++i) reinterpret_cast<uint64_t*>(state)[i] = i * 0x9e3779b97f4a7c15u;

  Compute& compute = pair.gpu.compute;
  const auto copied = [&] { return std::memcmp(arrays[0], arrays[1], kArrayBytes) == 0; };
  const auto say = [](bool sound, const char* what) {
    ++checks;
    if (sound) return;
    ++failures;
    std::printf("FAIL host arrays: %s\n", what);
  };
  compute.PassThrough({arrays, true}, ranges, {staging.data(), staging.size()}, [&](size_t index, auto at) {
    compute.Copy(at[1], at[0], ranges[index].bytes);
  });
  say(copied(), "what a device copies from one to the other is there");
  compute.PassThrough({arrays, false}, ranges, {staging.data(), staging.size()}, [&](size_t index, auto at) {
    for (std::byte* array : at) compute.Zero(array, ranges[index].bytes);
  });
  say(copied() && state[0] == std::byte{} && state[2 * kArrayBytes - 1] == std::byte{}, "what it writes is there");
  region->Close();
}

}  // namespace compute_check
