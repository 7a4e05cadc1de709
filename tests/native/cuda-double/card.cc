#include "card.h"

#include <cstring>
#include <iterator>

namespace cuda_double {

thread_local int current_contexts = 0;

namespace {

Board& board() {
  static Board* const page = OpenBoard();
  return *page;
}

}  // namespace

bool Guarded() {
  static const bool guarded = std::getenv("TIDELINE_DOUBLE_GUARDED") != nullptr;
  return guarded;
}

Opened::Opened(const Card& card, Address address, size_t bytes) {
  const auto after = card.mappings.upper_bound(address);
  if (!Guarded() || bytes == 0 || after == card.mappings.begin()) return;
  const auto& [start, mapping] = *std::prev(after);
  if (address >= start + mapping.bytes || !mapping.access) return;
  constexpr Address kPageBytes = 4096;
  first_ = address / kPageBytes * kPageBytes;
  bytes_ = address + bytes - first_;
  ::mprotect(reinterpret_cast<void*>(first_), bytes_, PROT_READ | PROT_WRITE);
}

Opened::~Opened() {
  if (bytes_ > 0) ::mprotect(reinterpret_cast<void*>(first_), bytes_, PROT_NONE);
}

Card& Card::Get() {
  static Card card;
  return card;
}

ProcessCounts& Card::counts() {
  static ProcessCounts* const mine = [] {
    ProcessCounts* free = nullptr;
    for (ProcessCounts& process : board().processes) {
      if (!IsAlive(process)) free = &process;
    }
    if (!free) std::abort();  // more processes than any test has
    *free = {};
    free->pid = ::getpid();
    return free;
  }();
  return *mine;
}

size_t Card::UsedBytes() {
  int64_t used = 0;
  for (const ProcessCounts& process : board().processes) {
    if (IsAlive(process)) used += process.bytes + (process.contexts > 0 ? static_cast<int64_t>(kContextBytes) : 0);
  }
  return static_cast<size_t>(used);
}

void Card::Drop(Handle handle) {
  Allocation& allocation = allocations.at(handle);
  if (--allocation.references > 0) return;
  ::close(allocation.file);
  --counts().allocations;
  if (!allocation.imported) counts().bytes -= static_cast<int64_t>(allocation.bytes);
  allocations.erase(handle);
}

void Card::Forget() {
  for (const auto& [address, bytes] : reservations) ::munmap(reinterpret_cast<void*>(address), bytes);
  for (const auto& [handle, allocation] : allocations) ::close(allocation.file);
  reservations.clear();
  mappings.clear();
  allocations.clear();
  const int64_t pid = counts().pid;
  counts() = {};
  counts().pid = pid;
}

int Injected(const char* call) {
  ProcessCounts& counts = Card::Get().counts();
  if (counts.lost != 0) return static_cast<int>(counts.lost);
  const bool named = board().call[0] != '\0';
  if (named ? std::strcmp(board().call, call) != 0 : std::strcmp(call, "cuMemGetInfo") == 0) return 0;
  ++board().calls;
  if (board().countdown == 0 || --board().countdown > 0) return 0;
  const auto result = static_cast<int>(board().result);
  // It is a context that is lost: the attempt to make the first one leaves none behind.
  if (board().sticky && counts.contexts > 0) counts.lost = result;
  return result;
}

}  // namespace cuda_double
