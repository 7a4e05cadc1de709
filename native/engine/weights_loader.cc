#include "engine/weights_loader.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "engine/kernels.h"      // BestKernels
#include "engine/thread_pool.h"  // ThreadPool
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

}  // namespace

std::vector<TensorCopy> PlanFromCheckpoint(const WeightsLayout& layout, const std::vector<TensorSource>& sources) {
  std::map<std::string, const TensorSource*> by_name;
  for (const TensorSource& source : sources) {
    if (!by_name.emplace(source.name, &source).second) throw Invalid(source, "appears twice");
  }
  std::map<std::string, std::shared_ptr<const MappedFile>> files;
  std::vector<TensorCopy> plan;
  for (const TensorSlice& slice : layout.tensors()) {
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
    plan.push_back({file, source.offset, nullptr, dtype, slice.offset, slice.bytes / DTypeBytes(layout.dtype())});
  }
  return plan;
}

std::vector<TensorCopy> PlanFromMemory(const WeightsLayout& layout, const WeightsLayout& source, const std::byte* base) {
  std::vector<TensorCopy> plan;
  for (const TensorSlice& slice : layout.tensors()) {
    const TensorSlice& theirs = *source.Find(slice.name);
    plan.push_back(
        {nullptr, 0, base + theirs.offset, source.dtype(), slice.offset, slice.bytes / DTypeBytes(layout.dtype())});
  }
  return plan;
}

uint64_t CopyTensors(const std::vector<TensorCopy>& plan, DType target_dtype, std::byte* target,
                     const Operation& operation) {
  struct Piece {
    const TensorCopy* tensor;
    uint64_t begin, elements;
  };
  std::vector<Piece> pieces;
  uint64_t total_bytes = 0;
  for (const TensorCopy& tensor : plan) {
    for (uint64_t begin = 0; begin < tensor.elements; begin += kPieceElements) {
      pieces.push_back({&tensor, begin, std::min(kPieceElements, tensor.elements - begin)});
    }
    total_bytes += tensor.elements * DTypeBytes(target_dtype);
  }

  const Kernels& kernels = BestKernels();
  std::mutex progress;
  uint64_t done_bytes = 0;
  operation.Step(0, total_bytes);
  ThreadPool pool(0);
  pool.ParallelFor(pieces.size(), [&](uint64_t index, unsigned) {
    const Piece& piece = pieces[index];
    const TensorCopy& tensor = *piece.tensor;
    const uint64_t source_bytes = DTypeBytes(tensor.source_dtype), target_bytes = DTypeBytes(target_dtype);
    std::byte* to = target + tensor.target_offset + piece.begin * target_bytes;
    if (tensor.file) {
      const uint64_t offset = tensor.file_offset + piece.begin * source_bytes;
      const auto view = tensor.file->View(offset, piece.elements * source_bytes);
      kernels.convert(to, target_dtype, view.data(), tensor.source_dtype, piece.elements);
      tensor.file->DropBehind(offset, view.size());
    } else {
      kernels.convert(to, target_dtype, tensor.memory + piece.begin * source_bytes, tensor.source_dtype, piece.elements);
    }
    const std::lock_guard lock(progress);
    done_bytes += piece.elements * target_bytes;
    operation.Step(done_bytes, total_bytes);
  });
  return total_bytes;
}

}  // namespace tideline
