// What the sources of CudaBacking share, and nobody else needs: how its calls of the driver are made.
#pragma once

#include "memory/cuda_backing.h"

namespace tideline {

// Nobody can be told that giving back failed, and what was not given back is gone: a driver that is short of memory for a
// moment is asked again.
template <typename Call>
cuda::Result Insist(const Call& call) {
  const cuda::Result result = call();
  return result == cuda::kSuccess ? result : call();
}

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

}  // namespace tideline
