// What the driver's own copies from GPU 0 to GPU 1 reach, for ratios within one run. Commands on stdin, one line of numbers per
// line on stdout, or `none` where the two cannot reach each other:
//
//   BYTES TIMES   GB/s (10^9), medians: memory of cuMemAlloc; mapped memory that its own GPU alone may use; mapped memory that
//                 the other GPU may use too, as Tideline's regions are while it copies from them
//
// The last two tell whether cuMemcpyPeerAsync takes the link for memory that the other GPU has no access to.
#include <vector>

#include "card-driver.h"

namespace {

using namespace card;
namespace cuda = tideline::cuda;

// One allocation of so many bytes behind an address, as cuMemCreate gives it.
class Mapped {
 public:
  Mapped(int device, size_t bytes) : bytes_(bytes) {
    cuda::AllocationProperties properties{};
    properties.type = cuda::kAllocationPinned;
    properties.location = {cuda::kLocationDevice, device};
    Call("cuMemAddressReserve", &address_, bytes, size_t{0}, Address{0}, 0ull);
    Call("cuMemCreate", &handle_, bytes, static_cast<const cuda::AllocationProperties*>(&properties), 0ull);
    Call("cuMemMap", address_, bytes, size_t{0}, handle_, 0ull);
    Admit(device);
  }
  ~Mapped() {
    Call("cuMemUnmap", address_, bytes_);
    Call("cuMemRelease", handle_);
    Call("cuMemAddressFree", address_, bytes_);
  }
  Mapped(const Mapped&) = delete;

  void Admit(int device) const {
    const cuda::AccessDescriptor access{{cuda::kLocationDevice, device}, cuda::kAccessReadWrite};
    Call("cuMemSetAccess", address_, bytes_, &access, size_t{1});
  }
  Address address() const { return address_; }

 private:
  size_t bytes_;
  Address address_ = 0;
  cuda::AllocationHandle handle_ = 0;
};

}  // namespace

int main() {
  cuda::Context contexts[2]{};
  Call("cuInit", 0u);
  for (int device : {0, 1}) Call("cuDevicePrimaryCtxRetain", &contexts[device], device);
  int reachable = 0;
  Call("cuDeviceCanAccessPeer", &reachable, 1, 0);
  Call("cuCtxPushCurrent_v2", contexts[1]);
  if (reachable) Call("cuCtxEnablePeerAccess", contexts[0], 0u);
  size_t bytes = 0;
  int times = 0;
  while (std::scanf("%zu %d", &bytes, &times) == 2) {
    if (!reachable) {
      std::puts("none");
      continue;
    }
    const auto rate = [&](Address target, Address source) {
      return GigabytesPerSecond(bytes, times, [&] {
        Call("cuMemcpyPeerAsync", target, contexts[1], source, contexts[0], bytes, static_cast<cuda::Stream>(nullptr));
      });
    };
    {
      Address source = 0, target = 0;
      Call("cuCtxPushCurrent_v2", contexts[0]);
      Call("cuMemAlloc_v2", &source, bytes);
      Call("cuCtxPopCurrent_v2", &contexts[0]);
      Call("cuMemAlloc_v2", &target, bytes);
      std::printf("%.6f", rate(target, source));
      Call("cuMemFree_v2", target);
      Call("cuMemFree_v2", source);
    }
    {
      const Mapped source(0, bytes), target(1, bytes);
      std::printf(" %.6f", rate(target.address(), source.address()));
      source.Admit(1);
      std::printf(" %.6f\n", rate(target.address(), source.address()));
    }
    std::fflush(stdout);
  }
}
