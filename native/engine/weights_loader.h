// Fills a model's region from a checkpoint on disk or from another model in memory, casting or quantising where storage
// types differ. Checking and copying are two steps, so that every refusal comes before the first byte is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "checkpoint/mapped_file.h"    // MappedFile
#include "checkpoint/tensor_source.h"  // TensorSource
#include "engine/weights_layout.h"     // WeightsLayout
#include "memory/device.h"             // Region, Operation

namespace tideline {

// One tensor to copy: from a mapped file, or from another model's region.
struct TensorCopy {
  const TensorSlice* target = nullptr;  // of the layout that the plan was made for
  std::shared_ptr<const MappedFile> file;
  std::shared_ptr<Region> region;  // where there is no file
  uint64_t source_offset = 0;      // in either
  DType source_dtype = DType::kF32;
};

// Memory to copy through, on the device of the model that is written.
struct Bucket {
  Region* region = nullptr;  // nullptr: none
  uint64_t bytes = 0;        // of the region, from its first
};

// Checks every number of `sources` against the layout and the files. Tensors that the layout does not have are ignored
// (rotary tables, a tied lm_head). Errors: weights_mismatch (with `tensor`: missing, another shape, a dtype that cannot
// be cast), checkpoint_invalid (with `tensor` and `file`: lying sizes, duplicates), checkpoint_unreadable.
std::vector<TensorCopy> PlanFromCheckpoint(const WeightsLayout& layout, const std::vector<TensorSource>& sources);

// Every tensor of a model whose bytes are `region`. RefuseOtherModel has compared the two.
std::vector<TensorCopy> PlanFromModel(const WeightsLayout& layout, const WeightsLayout& source,
                                      const std::shared_ptr<Region>& region);

struct Copied {
  uint64_t bytes = 0;  // written, those into a bucket included
  CopyRoute route = CopyRoute::kDirect;
};

// Copies into a resident region, with all cores where the processor casts or quantises. On a GPU bytes that stay as they
// are never leave it, or go to another GPU as directly as the two allow; others pass through the processor. With a bucket
// everything goes through that, a bucketful at a time, as it is stored in the source, and is cast or quantised on the way
// out. Throws what `operation` throws, checkpoint_unreadable for a file that became shorter, and not_finite (with
// `tensor`) where a number to quantise is none; `target` is then partly written.
Copied CopyTensors(const std::vector<TensorCopy>& plan, const WeightsLayout& layout, Region& target,
                   const Operation& operation, const Bucket& bucket = {});

}  // namespace tideline
