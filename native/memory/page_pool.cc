// Accounting of chunks. The budget is reserved under the lock, the chunks are made outside it: creating gigabytes must
// not keep anybody from looking.
#include "memory/page_pool.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string>
#include <utility>

namespace tideline {
namespace {

std::string Size(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

std::string Named(const Holder& holder) { return holder.consumer + " (" + Size(holder.bytes) + ")"; }

}  // namespace

PagePool::PagePool(Backing& backing, uint64_t capacity_bytes, std::function<std::vector<Holder>()> holders)
    : backing_(backing), holders_(std::move(holders)), capacity_bytes_(capacity_bytes) {}

PagePool::~PagePool() { backing_.Destroy(Evict(held_bytes())); }

std::vector<Chunk> PagePool::Taken::chunks() const {
  std::vector<Chunk> all(held);
  all.insert(all.end(), fresh.begin(), fresh.end());
  std::stable_sort(all.begin(), all.end(), [](const Chunk& a, const Chunk& b) { return a.bytes > b.bytes; });
  return all;
}

uint64_t PagePool::free_bytes() const {
  const uint64_t taken = committed_bytes() + held_bytes();
  const uint64_t capacity = capacity_bytes();
  return capacity > taken ? capacity - taken : 0;
}

PagePool::Taken PagePool::Take(std::span<const uint64_t> sizes, const Operation& operation) {
  const uint64_t bytes = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
  Taken taken;
  std::vector<uint64_t> missing;
  std::vector<Chunk> giving_way;
  {
    std::unique_lock lock(mutex_);
    if (bytes > free_bytes() + held_bytes()) {
      lock.unlock();
      ThrowOutOfMemory(bytes, nullptr);
    }
    for (const uint64_t size : sizes) {
      const auto held = held_.find(size);
      if (held == held_.end()) {
        missing.push_back(size);
        continue;
      }
      // The oldest first: chunks of one region lie together then, which keeps the kernel's mappings few.
      taken.held.push_back(held->second.front());
      held->second.pop_front();
      if (held->second.empty()) held_.erase(held);
    }
    const uint64_t held_bytes = BytesOf(taken.held);
    held_bytes_ -= held_bytes;
    committed_bytes_ += held_bytes;
    const uint64_t missing_bytes = bytes - held_bytes, free = free_bytes();
    if (missing_bytes > free) giving_way = Evict(missing_bytes - free);
    committed_bytes_ += missing_bytes;
  }
  backing_.Destroy(giving_way);
  try {
    taken.fresh = Create(missing, operation);
    return taken;
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      committed_bytes_ -= bytes;
      HoldAgain(taken.held);
    }
    try {
      throw;
    } catch (const Error& error) {
      if (error.code == "out_of_memory") ThrowOutOfMemory(bytes, &error);
      throw;
    }
  }
}

std::vector<Chunk> PagePool::Create(std::span<const uint64_t> sizes, const Operation& operation) {
  try {
    return backing_.Create(sizes, operation);
  } catch (const Error& error) {
    // Others may have the device's memory, while chunks of other sizes are held here for nobody.
    if (error.code != "out_of_memory" || Trim() == 0) throw;
    return backing_.Create(sizes, operation);
  }
}

void PagePool::Undo(Taken taken) noexcept {
  backing_.Destroy(taken.fresh);
  const std::lock_guard lock(mutex_);
  committed_bytes_ -= BytesOf(taken.held) + BytesOf(taken.fresh);
  HoldAgain(taken.held);
}

void PagePool::HoldAgain(std::span<const Chunk> chunks) {
  for (size_t i = chunks.size(); i-- > 0;) held_[chunks[i].bytes].push_front(chunks[i]);
  held_bytes_ += BytesOf(chunks);
}

void PagePool::Give(std::vector<Chunk> chunks, Destination destination) noexcept {
  if (destination == Destination::kReturn) backing_.Destroy(chunks);
  const uint64_t bytes = BytesOf(chunks);
  const std::lock_guard lock(mutex_);
  committed_bytes_ -= bytes;
  if (destination == Destination::kReturn) return;
  for (const Chunk& chunk : chunks) held_[chunk.bytes].push_back(chunk);
  held_bytes_ += bytes;
}

void PagePool::Forget(std::span<const Chunk> chunks) noexcept {
  const std::lock_guard lock(mutex_);
  committed_bytes_ -= BytesOf(chunks);
}

uint64_t PagePool::Trim() {
  std::unique_lock lock(mutex_);
  const std::vector<Chunk> chunks = Evict(held_bytes());
  lock.unlock();
  backing_.Destroy(chunks);
  return BytesOf(chunks);
}

void PagePool::SetCapacity(uint64_t bytes) {
  std::unique_lock lock(mutex_);
  if (bytes < committed_bytes()) {
    throw Error("bad_argument",
                "capacity " + Size(bytes) + " is below what is committed, " + Size(committed_bytes()),
                "release regions first")
        .WithField("capacityBytes");
  }
  capacity_bytes_ = bytes;
  const uint64_t room = bytes - committed_bytes(), held = held_bytes();
  const std::vector<Chunk> surplus = Evict(held > room ? held - room : 0);
  lock.unlock();
  backing_.Destroy(surplus);
}

std::vector<Chunk> PagePool::Evict(uint64_t bytes) {
  std::vector<Chunk> evicted;
  uint64_t evicted_bytes = 0;
  while (evicted_bytes < bytes && !held_.empty()) {
    const auto smallest = held_.begin();
    evicted.push_back(smallest->second.back());
    evicted_bytes += evicted.back().bytes;
    smallest->second.pop_back();
    if (smallest->second.empty()) held_.erase(smallest);
  }
  held_bytes_ -= evicted_bytes;
  return evicted;
}

void PagePool::ThrowOutOfMemory(uint64_t requested_bytes, const Error* cause) const {
  std::vector<Holder> holders = holders_();
  const bool over_budget = cause == nullptr;
  const uint64_t free = over_budget ? free_bytes() : std::min(free_bytes(), backing_.AvailableBytes());
  std::string message = "out of memory: " + Size(requested_bytes) + " were asked for, " + Size(free) + " of " +
                        Size(capacity_bytes()) + " are free";
  if (cause) message += std::string(" (") + cause->what() + ")";

  std::sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) { return a.bytes > b.bytes; });
  std::string hint;
  for (const Holder& holder : holders) hint += (hint.empty() ? "release " : " or ") + Named(holder);
  if (hint.empty()) hint = "ask for less";
  if (held_bytes() > 0) holders.push_back({"pool", held_bytes()});
  if (over_budget) {
    hint += ", or raise the device's capacity";
  } else {
    const std::vector<Holder> others = backing_.OtherHolders();
    std::string programs;
    for (const Holder& other : others) programs += (programs.empty() ? "" : " or ") + Named(other);
    hint += ", or end " + (programs.empty() ? "other programs that use this device's memory" : programs);
    holders.insert(holders.end(), others.begin(), others.end());
  }
  throw Error("out_of_memory", message, hint).WithMemory(requested_bytes, free, capacity_bytes(), std::move(holders));
}

}  // namespace tideline
