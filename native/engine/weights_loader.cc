#include "engine/weights_loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

#include "compute/host/kernels.h"      // BestKernels
#include "compute/host/thread_pool.h"  // ThreadPool
#include "memory/error.h"        // Error

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

// Calls `use` with the bytes of a piece as they are stored.
template <typename Use>
void Read(const Piece& piece, const Use& use) {
  const TensorCopy& tensor = *piece.tensor;
  const uint64_t offset = piece.begin * DTypeBytes(tensor.source_dtype);
  if (!tensor.file) return use(tensor.memory + offset);
  const auto view = tensor.file->View(tensor.file_offset + offset, piece.source_bytes());
  use(view.data());
  tensor.file->DropBehind(tensor.file_offset + offset, view.size());
}

void Quantise(const Piece& piece, const WeightsLayout& layout, const std::byte* bytes, std::byte* target) {
  const TensorCopy& tensor = *piece.tensor;
  const Kernels& kernels = BestKernels();
  const uint64_t columns = tensor.target->shape[1], row_bytes = columns * DTypeBytes(tensor.source_dtype);
  auto* scales = reinterpret_cast<float*>(target + layout.ScalesOf(*tensor.target).offset);
  std::vector<float> row(columns);
  for (uint64_t index = 0; index < piece.elements / columns; ++index) {
    kernels.convert(row.data(), DType::kF32, bytes + index * row_bytes, tensor.source_dtype, columns);
    auto* whole = reinterpret_cast<int8_t*>(target + tensor.target->offset + piece.begin + index * columns);
    const float scale = kernels.quantize_row(whole, row.data(), columns);
    if (std::isnan(scale)) {
      throw Error("not_finite", tensor.target->name + " holds a NaN or an infinity, which int8 cannot", "choose other weights")
          .WithTensor(tensor.target->name);
    }
    scales[piece.begin / columns + index] = scale;
  }
}

void Write(const Piece& piece, const WeightsLayout& layout, const std::byte* bytes, std::byte* target) {
  const TensorCopy& tensor = *piece.tensor;
  if (Quantises(tensor)) return Quantise(piece, layout, bytes, target);
  const DType dtype = tensor.target->dtype;
  BestKernels().convert(target + tensor.target->offset + piece.begin * DTypeBytes(dtype), dtype, bytes,
                        tensor.source_dtype, piece.elements);
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
    plan.push_back({&slice, file, source.offset, nullptr, dtype});
  }
  return plan;
}

std::vector<TensorCopy> PlanFromMemory(const WeightsLayout& layout, const WeightsLayout& source, const std::byte* base) {
  std::vector<TensorCopy> plan;
  for (const TensorSlice& slice : layout.tensors()) {
    const TensorSlice* theirs = source.Find(slice.name);
    if (theirs == nullptr) continue;  // scales, made while copying
    plan.push_back({&slice, nullptr, 0, base + theirs->offset, theirs->dtype});
  }
  return plan;
}

uint64_t CopyTensors(const std::vector<TensorCopy>& plan, const WeightsLayout& layout, std::byte* target,
                     const Operation& operation, std::span<std::byte> bucket) {
  const std::vector<Piece> pieces = PiecesOf(plan, bucket.size());
  uint64_t total_bytes = 0;
  for (const Piece& piece : pieces) total_bytes += piece.target_bytes();

  std::mutex progress;
  uint64_t done_bytes = 0;
  const auto count = [&](const Piece& piece) {
    const std::lock_guard lock(progress);
    done_bytes += piece.target_bytes();
    operation.Step(done_bytes, total_bytes);
  };
  operation.Step(0, total_bytes);
  ThreadPool pool(0);
  if (bucket.empty()) {
    pool.ParallelFor(pieces.size(), [&](uint64_t index, unsigned) {
      Read(pieces[index], [&](const std::byte* bytes) { Write(pieces[index], layout, bytes, target); });
      count(pieces[index]);
    });
    return total_bytes;
  }

  uint64_t into_bucket_bytes = 0;
  for (size_t first = 0; first < pieces.size();) {
    std::vector<uint64_t> offsets;  // in the bucket, of the pieces from `first`
    uint64_t filled_bytes = 0;
    for (size_t next = first; next < pieces.size(); ++next) {
      if (filled_bytes + pieces[next].source_bytes() > bucket.size()) break;
      offsets.push_back(filled_bytes);
      filled_bytes += pieces[next].source_bytes();
    }
    pool.ParallelFor(offsets.size(), [&](uint64_t index, unsigned) {
      const Piece& piece = pieces[first + index];
      Read(piece, [&](const std::byte* bytes) {
        std::memcpy(bucket.data() + offsets[index], bytes, piece.source_bytes());
      });
    });
    pool.ParallelFor(offsets.size(), [&](uint64_t index, unsigned) {
      Write(pieces[first + index], layout, bucket.data() + offsets[index], target);
      count(pieces[first + index]);
    });
    into_bucket_bytes += filled_bytes;
    first += offsets.size();
  }
  return into_bucket_bytes + total_bytes;
}

}  // namespace tideline
