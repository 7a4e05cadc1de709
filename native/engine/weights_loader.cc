#include "engine/weights_loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "compute/host/kernels.h"      // BestKernels
#include "compute/host/thread_pool.h"  // ThreadPool
#include "engine/region_reader.h"      // RegionReader
#include "memory/error.h"              // Error

namespace tideline {
namespace {

constexpr uint64_t kPieceElements = 2 << 20;

std::string ShapeText(const std::vector<uint64_t>& shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis) text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + "]";
}

Error Mismatch(const TensorSource& source, const std::string& why) {
  return Error("weights_mismatch", source.name + " " + why, "choose a checkpoint of the same model").WithTensor(source.name)
      .WithFile(source.file);
}

Error Invalid(const TensorSource& source, const std::string& why) {
  return Error("checkpoint_invalid", source.name + " in " + source.file + " " + why, "the file is damaged: download it again")
      .WithTensor(source.name)
      .WithFile(source.file);
}

// The tensor's dtype; refuses a tensor that is not `slice`, or whose bytes do not follow from its dtype and shape.
DType CheckTensor(const TensorSource& source, const TensorSlice& slice) {
  const auto dtype = DTypeFromName(source.dtype);
  if (!dtype) throw Mismatch(source, "is stored as " + source.dtype + ", and only F32, F16 and BF16 can be cast");
  if (source.shape != slice.shape) {
    throw Mismatch(source, "has shape " + ShapeText(source.shape) + ", and the model needs " + ShapeText(slice.shape));
  }
  uint64_t bytes = DTypeBytes(*dtype);
  for (const uint64_t axis : source.shape) {
    if (__builtin_mul_overflow(bytes, axis, &bytes)) throw Invalid(source, "has a shape that overflows");
  }
  if (bytes != source.bytes) {
    throw Invalid(source, "takes " + std::to_string(source.bytes) + " bytes, and its dtype and shape need " +
                              std::to_string(bytes));
  }
  return *dtype;
}

// Some elements of a tensor, whole rows where they are quantised: what one task copies.
struct Piece {
  const TensorCopy* tensor;
  uint64_t begin, elements;

  uint64_t source_offset() const { return tensor->source_offset + begin * DTypeBytes(tensor->source_dtype); }
  uint64_t source_bytes() const { return elements * DTypeBytes(tensor->source_dtype); }
  uint64_t target_bytes() const { return elements * DTypeBytes(tensor->target->dtype); }
};

bool Quantises(const TensorCopy& tensor) {
  return tensor.target->dtype == DType::kI8 && tensor.source_dtype != DType::kI8;
}

std::vector<Piece> PiecesOf(const std::vector<TensorCopy>& plan, uint64_t bucket_bytes) {
  std::vector<Piece> pieces;
  for (const TensorCopy& tensor : plan) {
    uint64_t most = kPieceElements;
    if (bucket_bytes != 0) most = std::min(most, bucket_bytes / DTypeBytes(tensor.source_dtype));
    if (Quantises(tensor)) {
      const uint64_t columns = tensor.target->shape[1];
      most = std::max<uint64_t>(1, most / columns) * columns;
    }
    const uint64_t elements = tensor.target->elements();
    for (uint64_t begin = 0; begin < elements; begin += most) {
      pieces.push_back({&tensor, begin, std::min(most, elements - begin)});
    }
  }
  return pieces;
}

// Calls `use` with the bytes of a piece as they are stored, where the processor can read them.
template <typename Use>
void Read(const Piece& piece, const Use& use) {
  const TensorCopy& tensor = *piece.tensor;
  const uint64_t offset = piece.source_offset();
  if (!tensor.file) return use(RegionReader(*tensor.region).View(offset, piece.source_bytes()).data());
  const auto view = tensor.file->View(offset, piece.source_bytes());
  use(view.data());
  tensor.file->DropBehind(offset, view.size());
}

// The region that is filled: written in place on the host, through a buffer on a GPU.
class Target {
 public:
  Target(const WeightsLayout& layout, Region& region)
      : layout_(layout),
        region_(region),
        in_place_(region.device().is_host()),
        first_(static_cast<std::byte*>(region.MutableData())) {}

  // `bytes` are a piece as it is stored in its source.
  void Write(const Piece& piece, const std::byte* bytes) const {
    const TensorCopy& tensor = *piece.tensor;
    const DType dtype = tensor.target->dtype;
    const uint64_t offset = tensor.target->offset + piece.begin * DTypeBytes(dtype);
    if (Quantises(tensor)) return Quantise(piece, bytes, offset);
    if (!in_place_ && dtype == tensor.source_dtype) return region_.CopyIn(offset, bytes, piece.target_bytes());
    Fill(offset, piece.target_bytes(), [&](std::byte* at) {
      BestKernels().convert(at, dtype, bytes, tensor.source_dtype, piece.elements);
    });
  }

 private:
  // fill(at) writes what belongs at `offset`.
  template <typename FillBytes>
  void Fill(uint64_t offset, uint64_t bytes, const FillBytes& fill) const {
    if (in_place_) return fill(first_ + offset);
    std::vector<std::byte> staged(bytes);
    fill(staged.data());
    region_.CopyIn(offset, staged.data(), bytes);
  }

  void Quantise(const Piece& piece, const std::byte* bytes, uint64_t offset) const {
    const TensorSlice& slice = *piece.tensor->target;
    const DType source_dtype = piece.tensor->source_dtype;
    const Kernels& kernels = BestKernels();
    const uint64_t columns = slice.shape[1], rows = piece.elements / columns;
    const uint64_t row_bytes = columns * DTypeBytes(source_dtype);
    const uint64_t scales_offset = layout_.ScalesOf(slice).offset + piece.begin / columns * sizeof(float);
    std::vector<float> row(columns);
    Fill(offset, piece.target_bytes(), [&](std::byte* whole) {
      Fill(scales_offset, rows * sizeof(float), [&](std::byte* scales) {
        for (uint64_t index = 0; index < rows; ++index) {
          kernels.convert(row.data(), DType::kF32, bytes + index * row_bytes, source_dtype, columns);
          const float scale =
              kernels.quantize_row(reinterpret_cast<int8_t*>(whole + index * columns), row.data(), columns);
          if (std::isnan(scale)) {
            throw Error("not_finite", slice.name + " holds a NaN or an infinity, which int8 cannot", "choose other weights")
                .WithTensor(slice.name);
          }
          reinterpret_cast<float*>(scales)[index] = scale;
        }
      });
    });
  }

  const WeightsLayout& layout_;
  Region& region_;
  const bool in_place_;
  std::byte* const first_;
};

// Counts what is done, from several threads.
class Progress {
 public:
  Progress(const Operation& operation, uint64_t total_bytes) : operation_(operation), total_bytes_(total_bytes) {
    operation_.Step(0, total_bytes_);
  }
  void Add(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    done_bytes_ += bytes;
    operation_.Step(std::min(done_bytes_, total_bytes_), total_bytes_);
  }

 private:
  const Operation& operation_;
  const uint64_t total_bytes_;
  std::mutex mutex_;
  uint64_t done_bytes_ = 0;
};

std::byte* FirstOf(Region& region) { return static_cast<std::byte*>(region.MutableData()); }

// Whether the target's bytes are the source's from first to last, padding included.
bool SameBytes(const std::vector<TensorCopy>& plan) {
  return std::all_of(plan.begin(), plan.end(), [](const TensorCopy& tensor) {
    return tensor.region && tensor.source_offset == tensor.target->offset && tensor.source_dtype == tensor.target->dtype;
  });
}

// A region as it is into another one, which the processor need not see.
CopyRoute CopyWhole(Region& source, uint64_t total_bytes, Region& target, Progress& progress, const Bucket& bucket) {
  Device& device = target.device();
  CopyRoute route = CopyRoute::kDirect;
  if (bucket.region == nullptr) {
    uint64_t told_bytes = 0;
    const Operation whole{.on_progress = [&](uint64_t done_bytes, uint64_t) {
      progress.Add(done_bytes - std::exchange(told_bytes, done_bytes));
    }};
    return device.CopyFrom(FirstOf(target), source.device(), FirstOf(source), total_bytes, whole);
  }
  for (uint64_t offset = 0; offset < total_bytes; offset += bucket.bytes) {
    const uint64_t bytes = std::min(bucket.bytes, total_bytes - offset);
    std::byte* const entry = FirstOf(*bucket.region);
    route = device.CopyFrom(entry, source.device(), FirstOf(source) + offset, bytes);
    device.CopyFrom(FirstOf(target) + offset, device, entry, bytes);
    progress.Add(bytes);
  }
  return route;
}

// How a processor that casts gets bytes from one device to another.
CopyRoute RouteThroughProcessor(const std::vector<TensorCopy>& plan, const Region& target) {
  const Region* source = plan.front().region.get();
  if (source == nullptr || &source->device() == &target.device()) return CopyRoute::kDirect;
  return source->device().is_host() || target.device().is_host() ? CopyRoute::kDirect : CopyRoute::kStaged;
}

// Pieces from `first` that fit the bucket go into it, as they are stored; returns where in the bucket each lies.
std::vector<uint64_t> FillBucket(const std::vector<Piece>& pieces, size_t first, const Bucket& bucket, ThreadPool& pool) {
  std::vector<uint64_t> offsets;
  uint64_t filled_bytes = 0;
  for (size_t next = first; next < pieces.size(); ++next) {
    if (filled_bytes + pieces[next].source_bytes() > bucket.bytes) break;
    offsets.push_back(filled_bytes);
    filled_bytes += pieces[next].source_bytes();
  }
  Device& device = bucket.region->device();
  pool.ParallelFor(offsets.size(), [&](uint64_t index, unsigned) {
    const Piece& piece = pieces[first + index];
    std::byte* at = FirstOf(*bucket.region) + offsets[index];
    if (device.is_host()) {
      Read(piece, [&](const std::byte* bytes) { std::memcpy(at, bytes, piece.source_bytes()); });
    } else {
      Region& source = *piece.tensor->region;
      device.CopyFrom(at, source.device(), FirstOf(source) + piece.source_offset(), piece.source_bytes());
    }
  });
  return offsets;
}

}  // namespace

std::vector<TensorCopy> PlanFromCheckpoint(const WeightsLayout& layout, const std::vector<TensorSource>& sources) {
  std::map<std::string, const TensorSource*> by_name;
  for (const TensorSource& source : sources) {
    if (!by_name.emplace(source.name, &source).second) throw Invalid(source, "appears twice");
  }
  std::map<std::string, std::shared_ptr<const MappedFile>> files;
  std::vector<TensorCopy> plan;
  for (const TensorSlice& slice : layout.tensors()) {
    if (slice.row_scales) continue;  // made while copying
    const auto found = by_name.find(slice.name);
    if (found == by_name.end()) {
      throw Error("weights_mismatch", slice.name + " is missing from the checkpoint",
                  "choose a checkpoint of the same model with all of its shards")
          .WithTensor(slice.name);
    }
    const TensorSource& source = *found->second;
    const DType dtype = CheckTensor(source, slice);
    auto& file = files[source.file];
    if (!file) file = MappedFile::Open(source.file);
    if (source.offset > file->size_bytes() || source.bytes > file->size_bytes() - source.offset) {
      throw Invalid(source, "lies outside of the file, which has " + std::to_string(file->size_bytes()) + " bytes");
    }
    plan.push_back({&slice, file, nullptr, source.offset, dtype});
  }
  return plan;
}

std::vector<TensorCopy> PlanFromModel(const WeightsLayout& layout, const WeightsLayout& source,
                                      const std::shared_ptr<Region>& region) {
  std::vector<TensorCopy> plan;
  for (const TensorSlice& slice : layout.tensors()) {
    const TensorSlice* theirs = source.Find(slice.name);
    if (theirs == nullptr) continue;  // scales, made while copying
    plan.push_back({&slice, nullptr, region, theirs->offset, theirs->dtype});
  }
  return plan;
}

Copied CopyTensors(const std::vector<TensorCopy>& plan, const WeightsLayout& layout, Region& target,
                   const Operation& operation, const Bucket& bucket) {
  const std::vector<Piece> pieces = PiecesOf(plan, bucket.bytes);
  uint64_t total_bytes = 0;
  for (const Piece& piece : pieces) total_bytes += piece.target_bytes();
  Progress progress(operation, total_bytes);
  if (SameBytes(plan) && !(target.device().is_host() && plan.front().region->device().is_host())) {
    const CopyRoute route = CopyWhole(*plan.front().region, layout.total_bytes(), target, progress, bucket);
    return {bucket.region == nullptr ? total_bytes : 2 * total_bytes, route};
  }
  const CopyRoute route = RouteThroughProcessor(plan, target);

  const Target written(layout, target);
  ThreadPool pool(0);
  if (bucket.region == nullptr) {
    pool.ParallelFor(pieces.size(), [&](uint64_t index, unsigned) {
      Read(pieces[index], [&](const std::byte* bytes) { written.Write(pieces[index], bytes); });
      progress.Add(pieces[index].target_bytes());
    });
    return {total_bytes, route};
  }
  uint64_t into_bucket_bytes = 0;
  for (size_t first = 0; first < pieces.size();) {
    const std::vector<uint64_t> offsets = FillBucket(pieces, first, bucket, pool);
    pool.ParallelFor(offsets.size(), [&](uint64_t index, unsigned) {
      const Piece& piece = pieces[first + index];
      written.Write(piece, RegionReader(*bucket.region).View(offsets[index], piece.source_bytes()).data());
      progress.Add(piece.target_bytes());
    });
    into_bucket_bytes += offsets.back() + pieces[first + offsets.size() - 1].source_bytes();
    first += offsets.size();
  }
  return {into_bucket_bytes + total_bytes, route};
}

}  // namespace tideline
