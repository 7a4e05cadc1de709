// Streams, on which everything is done at once, copies and pinned host memory.
#include <cstring>

#include "card.h"  // Card, BEGIN

using namespace cuda_double;

namespace {

// Without access to the addresses this faults, as a GPU would.
int Copy(Address target, Address source, size_t bytes, const char* call) {
  BEGIN(call);
  const Opened opened_source(card, source, bytes), opened_target(card, target, bytes);
  std::memcpy(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes);
  return kSuccess;
}

}  // namespace

EXPORT int cuStreamCreate(void** stream, unsigned) {
  BEGIN("cuStreamCreate");
  *stream = &card;
  ++card.counts().streams;
  return kSuccess;
}
EXPORT int cuStreamDestroy_v2(void*) {
  BEGIN("cuStreamDestroy");
  --card.counts().streams;
  return kSuccess;
}
EXPORT int cuStreamSynchronize(void*) {
  BEGIN("cuStreamSynchronize");
  return kSuccess;
}
EXPORT int cuMemcpyHtoDAsync_v2(Address target, const void* source, size_t bytes, void*) {
  return Copy(target, reinterpret_cast<Address>(source), bytes, "cuMemcpyHtoDAsync");
}
EXPORT int cuMemcpyDtoHAsync_v2(void* target, Address source, size_t bytes, void*) {
  return Copy(reinterpret_cast<Address>(target), source, bytes, "cuMemcpyDtoHAsync");
}
EXPORT int cuMemcpyDtoDAsync_v2(Address target, Address source, size_t bytes, void*) {
  return Copy(target, source, bytes, "cuMemcpyDtoDAsync");
}
EXPORT int cuMemHostRegister_v2(void*, size_t, unsigned) {
  BEGIN("cuMemHostRegister");
  ++card.counts().registered_buffers;
  return kSuccess;
}
EXPORT int cuMemHostUnregister(void*) {
  BEGIN("cuMemHostUnregister");
  if (card.counts().registered_buffers == 0) return kInvalidValue;
  --card.counts().registered_buffers;
  return kSuccess;
}
