// Fills a model's region from a checkpoint on disk or from another model in memory, casting or quantising where storage
// types differ. Checking and copying are two steps, so that every refusal comes before the first byte is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/mapped_file.h"    // MappedFile
#include "checkpoint/tensor_source.h"  // TensorSource
#include "engine/weights_layout.h"     // WeightsLayout
#include "memory/progress.h"           // Operation

namespace tideline {

// One tensor to copy: from a mapped file, or from memory when `file` is empty.
struct TensorCopy {
  const TensorSlice* target = nullptr;  // of the layout that the plan was made for
  std::shared_ptr<const MappedFile> file;
  uint64_t file_offset = 0;
  const std::byte* memory = nullptr;
  DType source_dtype = DType::kF32;
};

// Checks every number of `sources` against the layout and the files. Tensors that the layout does not have are ignored
// (rotary tables, a tied lm_head). Errors: weights_mismatch (with `tensor`: missing, another shape, a dtype that cannot
// be cast), checkpoint_invalid (with `tensor` and `file`: lying sizes, duplicates), checkpoint_unreadable.
std::vector<TensorCopy> PlanFromCheckpoint(const WeightsLayout& layout, const std::vector<TensorSource>& sources);

// Every tensor of a model whose bytes start at `base`. RefuseOtherModel has compared the two.
std::vector<TensorCopy> PlanFromMemory(const WeightsLayout& layout, const WeightsLayout& source, const std::byte* base);

// Copies with all cores into the region at `target`. With a bucket everything goes through it, a bucketful at a time, as
// it is stored in the source, and is cast or quantised on the way out. Returns the bytes written, those into the bucket
// included. Throws what `operation` throws, checkpoint_unreadable for a file that became shorter, and not_finite (with
// `tensor`) where a number to quantise is none; `target` is then partly written.
uint64_t CopyTensors(const std::vector<TensorCopy>& plan, const WeightsLayout& layout, std::byte* target,
                     const Operation& operation, std::span<std::byte> bucket = {});

}  // namespace tideline
