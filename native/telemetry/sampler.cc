// The sampling loop. Deadlines are absolute, so the rate does not drift with the time that sampling takes.
#include "telemetry/sampler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "memory/stopwatch.h"  // NowSeconds

namespace tideline {
namespace {

using Clock = std::chrono::steady_clock;

// A ring holds four batches, within reason.
constexpr size_t kLeastRows = 64;
constexpr size_t kMostRows = 65536;
constexpr double kBatchesKept = 4;
// Sets of consumers waiting to be collected.
constexpr size_t kMostSegments = 32;

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Sampler::Sampler(std::shared_ptr<Device> device, double hertz, double batch_seconds, std::function<void()> on_batch)
    : device_(std::move(device)), batch_seconds_(batch_seconds), on_batch_(std::move(on_batch)), hertz_(hertz) {
  thread_ = std::thread([this] { Loop(); });
}

Sampler::~Sampler() { Stop(); }

void Sampler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Sampler::SetRate(double hertz) {
  {
    const std::lock_guard lock(mutex_);
    hertz_ = hertz;
    rate_changed_ = true;
  }
  wake_.notify_all();
}

void Sampler::Loop() {
  std::unique_lock lock(mutex_);
  Clock::time_point due = Clock::now();
  Clock::time_point batch_due = due + Seconds(batch_seconds_);
  while (!stopping_) {
    const double hertz = hertz_;
    const Clock::duration period = Seconds(1 / hertz);
    wake_.wait_until(lock, due, [this] { return stopping_ || rate_changed_; });
    if (stopping_) return;
    if (std::exchange(rate_changed_, false)) {
      due = Clock::now();
      continue;
    }
    lock.unlock();

    // When this thread got no processor for a while, the samples in between are lost, and said to be.
    const Clock::time_point now = Clock::now();
    const auto missed = static_cast<uint64_t>((now - due) / period);
    TakeRow(hertz, missed);
    due += period * static_cast<Clock::rep>(missed + 1);
    if (now >= batch_due) {
      batch_due = now + Seconds(batch_seconds_);
      on_batch_();
    }
    lock.lock();
  }
}

void Sampler::TakeRow(double hertz, uint64_t lost) {
  lost_.fetch_add(lost, std::memory_order_relaxed);
  device_->Sample(sample_);
  const std::shared_ptr<Segment> segment = CurrentSegment(hertz);
  if (!segment) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  row_.clear();
  row_.push_back(NowSeconds());
  for (const uint64_t bytes : {sample_.used_bytes, sample_.total_bytes, sample_.context_bytes, sample_.host_backup_bytes,
                               sample_.held_bytes}) {
    row_.push_back(static_cast<double>(bytes));
  }
  for (const DeviceSample::Consumer& consumer : sample_.consumers) {
    for (const uint64_t bytes : {consumer.reserved_bytes, consumer.committed_bytes, consumer.used_bytes}) {
      row_.push_back(static_cast<double>(bytes));
    }
  }
  segment->ring.Push(row_.data());
}

std::shared_ptr<Sampler::Segment> Sampler::CurrentSegment(double hertz) {
  const auto wanted_rows = static_cast<size_t>(std::ceil(hertz * batch_seconds_ * kBatchesKept));
  const size_t rows = std::clamp(wanted_rows, kLeastRows, kMostRows);
  const auto fits = [this, rows](const Segment& segment) {
    return segment.ring.rows() >= rows &&
           std::equal(segment.consumers.begin(), segment.consumers.end(), sample_.consumers.begin(), sample_.consumers.end(),
                      [](const std::string& name, const DeviceSample::Consumer& consumer) { return name == consumer.name; });
  };
  const std::lock_guard lock(segments_mutex_);
  if (!segments_.empty() && fits(*segments_.back())) return segments_.back();
  if (segments_.size() == kMostSegments) return nullptr;
  std::vector<std::string> names;
  for (const DeviceSample::Consumer& consumer : sample_.consumers) names.push_back(consumer.name);
  segments_.push_back(std::make_shared<Segment>(std::move(names), rows));
  return segments_.back();
}

bool Sampler::Collect(SampleBatch& batch) {
  std::shared_ptr<Segment> segment;
  bool last = false;
  {
    const std::lock_guard lock(segments_mutex_);
    if (segments_.empty()) return false;
    segment = segments_.front();
    last = segments_.size() == 1;
    // A segment that is not the last gets no more rows: this is all of it.
    if (!last) segments_.pop_front();
  }
  batch.consumers = segment->consumers;
  batch.rows = segment->ring.Size();
  batch.samples.resize(batch.rows * segment->ring.columns());
  segment->ring.Pop(batch.samples.data(), batch.rows);
  batch.dropped = segment->ring.TakeDropped() + lost_.exchange(0, std::memory_order_relaxed);
  return !last || batch.rows > 0 || batch.dropped > 0;
}

}  // namespace tideline
