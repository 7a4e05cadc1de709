// Accounting of chunks. The budget is reserved under the lock, the chunks are made outside it: creating gigabytes must
// not keep anybody from looking.
#include "memory/page_pool.h"

#include <algorithm>
#include <cstdio>
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

PagePool::~PagePool() { backing_.Destroy(held_); }

uint64_t PagePool::free_bytes() const {
  const uint64_t taken = committed_bytes() + held_bytes();
  const uint64_t capacity = capacity_bytes();
  return capacity > taken ? capacity - taken : 0;
}

PagePool::Taken PagePool::Take(size_t count, const Operation& operation) {
  const uint64_t chunk_bytes = backing_.chunk_bytes();
  Taken taken;
  size_t fresh = 0;
  {
    std::unique_lock lock(mutex_);
    taken.from_held = std::min(count, held_.size());
    fresh = count - taken.from_held;
    if (fresh * chunk_bytes > free_bytes()) {
      lock.unlock();
      ThrowOutOfMemory(count * chunk_bytes, nullptr);
    }
    // The oldest first: chunks of one region lie together then, which keeps the kernel's mappings few.
    taken.chunks.assign(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(taken.from_held));
    held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(taken.from_held));
    held_bytes_ -= taken.from_held * chunk_bytes;
    committed_bytes_ += count * chunk_bytes;
  }
  try {
    const std::vector<Chunk> created = backing_.Create(fresh, operation);
    taken.chunks.insert(taken.chunks.end(), created.begin(), created.end());
    return taken;
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      committed_bytes_ -= count * chunk_bytes;
      held_.insert(held_.begin(), taken.chunks.begin(), taken.chunks.end());
      held_bytes_ += taken.from_held * chunk_bytes;
    }
    try {
      throw;
    } catch (const Error& error) {
      if (error.code == "out_of_memory") ThrowOutOfMemory(count * chunk_bytes, &error);
      throw;
    }
  }
}

void PagePool::Undo(Taken taken) noexcept {
  const auto fresh = std::span<const Chunk>(taken.chunks).subspan(taken.from_held);
  backing_.Destroy(fresh);
  const std::lock_guard lock(mutex_);
  committed_bytes_ -= taken.chunks.size() * backing_.chunk_bytes();
  held_.insert(held_.begin(), taken.chunks.begin(), taken.chunks.begin() + static_cast<ptrdiff_t>(taken.from_held));
  held_bytes_ += taken.from_held * backing_.chunk_bytes();
}

void PagePool::Give(std::vector<Chunk> chunks, Destination destination) noexcept {
  const uint64_t bytes = chunks.size() * backing_.chunk_bytes();
  if (destination == Destination::kReturn) backing_.Destroy(chunks);
  const std::lock_guard lock(mutex_);
  committed_bytes_ -= bytes;
  if (destination == Destination::kHold) {
    held_.insert(held_.end(), chunks.begin(), chunks.end());
    held_bytes_ += bytes;
  }
}

uint64_t PagePool::Trim() {
  std::unique_lock lock(mutex_);
  return Shrink(lock, 0);
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
  Shrink(lock, bytes - committed_bytes());
}

uint64_t PagePool::Shrink(std::unique_lock<std::mutex>& lock, uint64_t bytes) {
  const size_t kept = std::min<uint64_t>(held_.size(), bytes / backing_.chunk_bytes());
  const std::vector<Chunk> surplus(held_.begin() + static_cast<ptrdiff_t>(kept), held_.end());
  held_.resize(kept);
  const uint64_t freed = surplus.size() * backing_.chunk_bytes();
  held_bytes_ -= freed;
  lock.unlock();
  backing_.Destroy(surplus);
  return freed;
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
