// Where the parts of an optimizer's state lie in its region: running means of gradients, running means of their squares, and
// master weights where there are such. All parts have their tensors at the same places, counted in elements, so that a range
// of one is a range of each, whatever they are stored in.
#pragma once

#include <cstdint>

#include "compute/dtype.h"          // DType
#include "engine/model_config.h"    // ModelConfig
#include "engine/weights_layout.h"  // WeightsLayout

namespace tideline {

class OptimizerLayout {
 public:
  // `stored` is the weights' type, `moments` that of the running means; float32 weights are their own masters.
  OptimizerLayout(const ModelConfig& config, DType stored, ModelHead head, DType moments, bool master_weights)
      : places_(config, DType::kF32, head),
        moments_(moments),
        has_master_(master_weights && stored != DType::kF32) {}

  DType moments() const { return moments_; }
  bool has_master() const { return has_master_; }
  uint64_t elements() const { return places_.total_bytes() / sizeof(float); }
  // Of the tensors of the weights' layout, in its order.
  uint64_t element_of(size_t tensor) const { return places_.tensors()[tensor].offset / sizeof(float); }

  // From the first byte of the region; the first means are there.
  uint64_t second() const { return elements() * DTypeBytes(moments_); }
  uint64_t master() const { return 2 * second(); }
  uint64_t total_bytes() const { return master() + (has_master_ ? elements() * sizeof(float) : 0); }

 private:
  const WeightsLayout places_;
  const DType moments_;
  const bool has_master_;
};

}  // namespace tideline
