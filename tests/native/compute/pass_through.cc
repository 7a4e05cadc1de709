// Arrays that stay in host memory, pinned as a region's backup is: piece by piece, with arrays that begin and ranges that end
// anywhere within a piece, and elements of several sizes.
#include "check.h"

#include "memory/device.h"  // OpenDevice

namespace compute_check {

void CheckPassThrough() {
  constexpr uint64_t kStateBytes = uint64_t{192} << 20, kElements = (uint64_t{18} << 20) + 1024;
  constexpr uint64_t kStagingBytes = uint64_t{4} << 20;
  const auto device = OpenDevice("cuda:0", kStateBytes, 0);
  const auto region = device->CreateRegion("policy.optimizer", "optimizer", kStateBytes);
  region->TakeOnHost();
  auto* state = static_cast<std::byte*>(region->HostData());
  Pair pair({.rows = 1, .threads = 1});
  Bytes staging(kStagingBytes);
  // Two of 2 bytes, then one of 4, as moments and masters are.
  const std::vector<HostArray> arrays{{state, 2}, {state + 2 * kElements, 2}, {state + 4 * kElements, 4}};
  const uint64_t most = Compute::MostPassedElements(kStagingBytes, arrays);
  std::vector<ElementRange> ranges;
  for (uint64_t begin = 0; begin < kElements; begin += most) ranges.push_back({begin, std::min(most, kElements - begin)});
  auto* shorts = reinterpret_cast<uint16_t*>(state);
  for (uint64_t i = 0; i < kElements; ++i) shorts[i] = static_cast<uint16_t>(i * 0x9e3779b97f4a7c15u >> 48);

  Compute& compute = pair.gpu.compute;
  const auto say = [](bool sound, const char* what) {
    ++checks;
    if (sound) return;
    ++failures;
    std::printf("FAIL host arrays: %s\n", what);
  };
  compute.PassThrough({arrays, true}, ranges, {staging.data(), staging.size()}, [&](size_t index, auto at) {
    compute.Copy(at[1], at[0], 2 * ranges[index].elements);
    const ConvertPiece widened{at[2], at[0], ranges[index].elements};
    compute.Convert({&widened, 1}, DType::kF32, DType::kBF16);
  });
  say(std::memcmp(state, state + 2 * kElements, 2 * kElements) == 0, "what a device copies from one to the other is there");
  const auto* wide = reinterpret_cast<const uint32_t*>(state + 4 * kElements);
  bool widened = true;
  for (uint64_t i = 0; i < kElements; ++i) widened = widened && wide[i] == uint32_t{shorts[i]} << 16;
  say(widened, "what it widens from one to the other is there");
  compute.PassThrough({arrays, false}, ranges, {staging.data(), staging.size()}, [&](size_t index, auto at) {
    for (size_t i = 0; i < arrays.size(); ++i) compute.Zero(at[i], ranges[index].elements * arrays[i].element_bytes);
  });
  bool zero = true;
  for (uint64_t i = 0; i < 8 * kElements; ++i) zero = zero && state[i] == std::byte{};
  say(zero, "what it writes is there");
  region->Close();
}

}  // namespace compute_check
