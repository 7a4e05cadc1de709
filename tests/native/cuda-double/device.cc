// The driver, its devices, their contexts, and which of them reach each other's memory.
#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>

#include "card.h"  // Card, BEGIN

using namespace cuda_double;

namespace {

constexpr int kPeerAccessUnsupported = 217, kPeerAccessAlreadyEnabled = 704;

// Which device was given access to which other; a context takes its own along.
std::set<std::pair<int, int>> peers_enabled;

}  // namespace

bool cuda_double::CanReach(int device, int other) {
  const char* peers = std::getenv("TIDELINE_DOUBLE_PEERS");
  return device == other || peers == nullptr || std::strcmp(peers, "0") != 0;
}

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
  *count = Devices();
  return kSuccess;
}
EXPORT int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal >= 0 && ordinal < Devices() ? kSuccess : kInvalidDevice;
}
EXPORT int cuDeviceGetName(char* name, int bytes, int) {
  std::strncpy(name, "Double of a GPU", bytes);
  return kSuccess;
}
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = kTotalBytes;
  return kSuccess;
}
EXPORT int cuDeviceGetPCIBusId(char* id, int bytes, int device) {
  std::strncpy(id, device == 0 ? "0000:00:00.0" : "0000:01:00.0", bytes);
  return kSuccess;
}
EXPORT int cuDeviceGetUuid(unsigned char* uuid, int device) {
  for (unsigned char i = 0; i < 16; ++i) uuid[i] = static_cast<unsigned char>(device * 16 + i);
  return kSuccess;
}
EXPORT int cuDeviceGetAttribute(int* value, int, int) {
  *value = 1;
  return kSuccess;
}

EXPORT int cuDevicePrimaryCtxRetain(const void** context, int device) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  if (device < 0 || device >= Devices()) return kInvalidDevice;
  if (const int result = Injected("cuDevicePrimaryCtxRetain", device)) return result;
  *context = ContextOf(device);
  ++card.counts().contexts;
  ++card.counts().device_contexts[device];
  return kSuccess;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  if (device < 0 || device >= Devices()) return kInvalidDevice;
  const bool lost = card.counts().lost[device] != 0;
  if (!lost) {
    if (const int result = Injected("cuDevicePrimaryCtxRelease", device)) return result;
  }
  if (card.counts().device_contexts[device] == 0) return kInvalidContext;
  --card.counts().contexts;
  if (--card.counts().device_contexts[device] > 0) return kSuccess;
  std::erase_if(peers_enabled, [&](const auto& pair) { return pair.first == device || pair.second == device; });
  if (lost) card.Forget(device);
  return kSuccess;
}
EXPORT int cuCtxPushCurrent_v2(const void* context) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  const int device = DeviceOfContext(context);
  if (device < 0) return kInvalidContext;
  asked_device = device;
  if (const int result = Injected("cuCtxPushCurrent", device)) return result;
  current_devices.push_back(device);
  ++card.counts().current_contexts;
  return kSuccess;
}
EXPORT int cuCtxPopCurrent_v2(void**) {
  Card& card = Card::Get();
  const std::lock_guard lock(card.mutex);
  if (card.counts().lost[CurrentDevice()] == 0) {
    if (const int result = Injected("cuCtxPopCurrent", CurrentDevice())) return result;
  }
  if (current_devices.empty()) return kInvalidContext;
  current_devices.pop_back();
  --card.counts().current_contexts;
  return kSuccess;
}
EXPORT int cuCtxSynchronize() {
  BEGIN("cuCtxSynchronize");
  card.AwaitCopies();
  return kSuccess;
}
EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
  BEGIN("cuMemGetInfo");
  *total = kTotalBytes;
  *free = kTotalBytes - card.UsedBytes(CurrentDevice());
  return kSuccess;
}

EXPORT int cuDeviceCanAccessPeer(int* can, int device, int peer) {
  *can = device != peer && CanReach(device, peer);
  return kSuccess;
}
EXPORT int cuCtxEnablePeerAccess(const void* context, unsigned flags) {
  BEGIN("cuCtxEnablePeerAccess");
  const int device = CurrentDevice(), peer = DeviceOfContext(context);
  if (peer < 0 || flags != 0) return kInvalidValue;
  int can = 0;
  cuDeviceCanAccessPeer(&can, device, peer);
  if (!can) return kPeerAccessUnsupported;
  return peers_enabled.emplace(device, peer).second ? kSuccess : kPeerAccessAlreadyEnabled;
}
