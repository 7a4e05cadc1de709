// Streams, on which everything is done at once but held to be under way until somebody awaits it, copies and pinned host memory.
#include <cstring>

#include "capture.h"  // capture, RefuseInCapture
#include "card.h"     // Card, BEGIN

using namespace cuda_double;

namespace {

constexpr int kInvalidHandle = 400;

// Whether an address can be of that device: host memory is any device's.
bool IsOn(const Card& card, Address address, int device) {
  const int mapped_on = card.DeviceOf(address);
  return mapped_on < 0 || mapped_on == device;
}

// Without access to the addresses this faults, as a GPU would.
int Copy(Address target, int target_device, Address source, int source_device, size_t bytes, const void* stream, const char* call) {
  BEGIN(call);
  if (stream != StreamOf(CurrentDevice())) return kInvalidHandle;
  if (!IsOn(card, source, source_device) || !IsOn(card, target, target_device)) return kInvalidValue;
  if (source_device != target_device) card.CopiesFromOther(target_device, source, bytes);
  if (card.CrossesPinned(source, bytes) || card.CrossesPinned(target, bytes)) return kInvalidValue;
  const auto copy = [=, &card] {
    const Opened opened_source(card, source, bytes), opened_target(card, target, bytes);
    std::memcpy(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes);
    return static_cast<int>(kSuccess);
  };
  if (!capture) {
    card.BeginCopy(source, bytes);
    card.BeginCopy(target, bytes);
    return copy();
  }
  // Whether host memory is still there when the graph runs nobody knows.
  if (card.DeviceOf(source) < 0 || card.DeviceOf(target) < 0) return RefuseInCapture();
  capture->nodes.emplace_back(copy);
  return kSuccess;
}

}  // namespace

EXPORT int cuStreamCreate(const void** stream, unsigned) {
  BEGIN("cuStreamCreate");
  *stream = StreamOf(CurrentDevice());
  ++card.counts().streams;
  ++card.streams[CurrentDevice()];
  return kSuccess;
}
EXPORT int cuStreamDestroy_v2(void*) {
  BEGIN("cuStreamDestroy");
  --card.counts().streams;
  --card.streams[CurrentDevice()];
  return kSuccess;
}
EXPORT int cuStreamSynchronize(void*) {
  BEGIN("cuStreamSynchronize");
  if (!capture) card.AwaitCopies();
  return RefuseInCapture();
}
EXPORT int cuMemcpyHtoDAsync_v2(Address target, const void* source, size_t bytes, const void* stream) {
  const int device = CurrentDevice();
  return Copy(target, device, reinterpret_cast<Address>(source), device, bytes, stream, "cuMemcpyHtoDAsync");
}
EXPORT int cuMemcpyDtoHAsync_v2(void* target, Address source, size_t bytes, const void* stream) {
  const int device = CurrentDevice();
  return Copy(reinterpret_cast<Address>(target), device, source, device, bytes, stream, "cuMemcpyDtoHAsync");
}
EXPORT int cuMemcpyDtoDAsync_v2(Address target, Address source, size_t bytes, const void* stream) {
  const int device = CurrentDevice();
  return Copy(target, device, source, device, bytes, stream, "cuMemcpyDtoDAsync");
}
EXPORT int cuMemcpyPeerAsync(Address target, const void* target_context, Address source, const void* source_context, size_t bytes,
                             const void* stream) {
  return Copy(target, DeviceOfContext(target_context), source, DeviceOfContext(source_context), bytes, stream,
              "cuMemcpyPeerAsync");
}
EXPORT int cuMemHostRegister_v2(void* first, size_t bytes, unsigned) {
  BEGIN("cuMemHostRegister");
  if (!card.pinned.emplace(reinterpret_cast<Address>(first), Pinned{bytes, CurrentDevice()}).second) return kInvalidValue;
  ++card.counts().registered_buffers;
  return kSuccess;
}
EXPORT int cuMemHostUnregister(void* first) {
  BEGIN("cuMemHostUnregister");
  if (card.pinned.erase(reinterpret_cast<Address>(first)) == 0) return kInvalidValue;
  --card.counts().registered_buffers;
  return kSuccess;
}
