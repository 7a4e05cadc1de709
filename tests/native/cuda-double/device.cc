// The driver, its one device and the device's context.
#include <cstring>

#include "card.h"  // Card, BEGIN

using namespace cuda_double;

EXPORT int cuInit(unsigned) { return kSuccess; }
EXPORT int cuDriverGetVersion(int* version) {
  *version = 12040;
  return kSuccess;
}
EXPORT int cuGetErrorString(int result, const char** text) {
  *text = result == kOutOfMemory ? "out of memory" : result == 700 ? "an illegal memory access was encountered" : "an error of the double";
  return kSuccess;
}
EXPORT int cuDeviceGetCount(int* count) {
  *count = 1;
  return kSuccess;
}
EXPORT int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? kSuccess : kInvalidValue;
}
EXPORT int cuDeviceGetName(char* name, int bytes, int) {
  std::strncpy(name, "Double of a GPU", bytes);
  return kSuccess;
}
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = kTotalBytes;
  return kSuccess;
}
EXPORT int cuDeviceGetPCIBusId(char* id, int bytes, int) {
  std::strncpy(id, "0000:00:00.0", bytes);
  return kSuccess;
}
EXPORT int cuDeviceGetUuid(unsigned char* uuid, int) {
  for (unsigned char i = 0; i < 16; ++i) uuid[i] = i;
  return kSuccess;
}
EXPORT int cuDeviceGetAttribute(int* value, int, int) {
  *value = 1;
  return kSuccess;
}

EXPORT int cuDevicePrimaryCtxRetain(void** context, int) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  if (const int result = Injected("cuDevicePrimaryCtxRetain")) return result;
  *context = &card;
  ++card.counts().contexts;
  return kSuccess;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  const bool lost = card.counts().lost != 0;
  if (!lost) {
    if (const int result = Injected("cuDevicePrimaryCtxRelease")) return result;
  }
  if (card.counts().contexts == 0) return kInvalidContext;
  if (--card.counts().contexts == 0 && lost) card.Forget();
  return kSuccess;
}
EXPORT int cuCtxPushCurrent_v2(void* context) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  if (const int result = Injected("cuCtxPushCurrent")) return result;
  if (context != &card) return kInvalidContext;
  ++current_contexts;
  ++card.counts().current_contexts;
  return kSuccess;
}
EXPORT int cuCtxPopCurrent_v2(void**) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  if (card.counts().lost == 0) {
    if (const int result = Injected("cuCtxPopCurrent")) return result;
  }
  if (current_contexts == 0) return kInvalidContext;
  --current_contexts;
  --card.counts().current_contexts;
  return kSuccess;
}
EXPORT int cuCtxSynchronize() {
  BEGIN("cuCtxSynchronize");
  return kSuccess;
}
EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
  BEGIN("cuMemGetInfo");
  *total = kTotalBytes;
  *free = kTotalBytes - card.UsedBytes();
  return kSuccess;
}
