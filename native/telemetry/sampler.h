// Sampler: looks at a Device 10 to 1000 times a second from its own thread and keeps the rows until somebody collects
// them. It never waits for the collector: what does not fit is counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "memory/device.h"   // Device, DeviceSample
#include "telemetry/ring.h"  // RowRing

namespace tideline {

// Columns of a row before the consumers', and of each consumer: native/addon.d.ts SampleBatch.
inline constexpr size_t kSampleHeaderColumns = 6;
inline constexpr size_t kSampleConsumerColumns = 3;

struct SampleBatch {
  std::vector<std::string> consumers;
  size_t rows = 0;
  std::vector<double> samples;  // (rows, header + consumers * columns)
  uint64_t dropped = 0;
};

class Sampler {
 public:
  // `on_batch` is called on the sampling thread every `batch_seconds`, when there is something to Collect.
  Sampler(std::shared_ptr<Device> device, double hertz, double batch_seconds, std::function<void()> on_batch);
  ~Sampler();

  // Joins the thread: at most one sample's time. What was sampled can still be collected.
  void Stop();

  void SetRate(double hertz);
  // Takes the oldest batch: rows of one set of consumers. False when nothing is there. One thread at a time.
  bool Collect(SampleBatch& batch);

 private:
  // Rows with the same columns. A new consumer starts a new segment, so that a row is never cut or padded; so does a rate
  // for which the last one is too small.
  struct Segment {
    Segment(std::vector<std::string> consumers, size_t rows)
        : consumers(std::move(consumers)),
          ring(kSampleHeaderColumns + this->consumers.size() * kSampleConsumerColumns, rows) {}
    const std::vector<std::string> consumers;
    RowRing ring;
  };

  void Loop();
  // Takes one row at that rate; `lost` samples were missed before it.
  void TakeRow(double hertz, uint64_t lost);
  // The segment for the consumers of `sample_`; nullptr when the collector is too far behind for another one.
  std::shared_ptr<Segment> CurrentSegment(double hertz);

  const std::shared_ptr<Device> device_;
  const double batch_seconds_;
  const std::function<void()> on_batch_;

  std::mutex mutex_;  // guards the rate and stopping_
  std::condition_variable wake_;
  double hertz_;
  bool rate_changed_ = false;
  bool stopping_ = false;

  std::mutex segments_mutex_;  // guards the list, not the rings
  std::deque<std::shared_ptr<Segment>> segments_;
  std::atomic<uint64_t> lost_{0};  // samples for which there was no ring, or no time

  // The sampling thread's own.
  DeviceSample sample_;
  std::vector<double> row_;
  std::thread thread_;
};

}  // namespace tideline
