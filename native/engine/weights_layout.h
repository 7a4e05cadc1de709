// Where every weight lies in a model's region. Projections that read the same input are fused by stacking their rows
// (q|k|v and gate|up), so each Hugging Face tensor is a contiguous slice: loading, saving and sharing between engine
// and trainer are views, never conversions.
//
// Stored as int8, every matrix (projections, embedding, lm_head) is quantised symmetrically per row, which is per output
// channel: float32 scales lie behind it, as tensors `<name>_scale` of their own. What is no matrix stays float32 (norms,
// biases, the value head): together less than a hundredth of the bytes, and an error there would touch every output.
//
// Pure data: it is computed from a config and a dtype, and two models with equal layouts can read each other's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "compute/dtype.h"        // DType
#include "engine/model_config.h"  // ModelConfig

namespace tideline {

// What reads the last layer's output: next-token logits, or one number per token (critics and reward models).
enum class ModelHead { kLanguage, kValue };

// One Hugging Face tensor inside the region.
struct TensorSlice {
  std::string name;
  std::vector<uint64_t> shape;
  uint64_t offset = 0, bytes = 0;
  DType dtype = DType::kF32;
  bool row_scales = false;  // no tensor of a checkpoint, but the scales of an int8 one

  uint64_t elements() const { return bytes / DTypeBytes(dtype); }
  bool operator==(const TensorSlice&) const = default;
};

// Byte offsets of the fused tensors of one layer; kAbsent for what the model does not have.
struct LayerOffsets {
  static constexpr uint64_t kAbsent = ~uint64_t{0};
  uint64_t input_norm = kAbsent;    // (hidden)
  uint64_t qkv = kAbsent;           // (q + 2 kv, hidden)
  uint64_t qkv_bias = kAbsent;      // (q + 2 kv)
  uint64_t q_norm = kAbsent;        // (head_dim)
  uint64_t k_norm = kAbsent;        // (head_dim)
  uint64_t o_proj = kAbsent;        // (hidden, q)
  uint64_t o_bias = kAbsent;        // (hidden)
  uint64_t post_norm = kAbsent;     // (hidden)
  uint64_t gate_up = kAbsent;       // (2 intermediate, hidden)
  uint64_t gate_up_bias = kAbsent;  // (2 intermediate)
  uint64_t down = kAbsent;          // (hidden, intermediate)
  uint64_t down_bias = kAbsent;     // (hidden)
};

class WeightsLayout {
 public:
  // Error: checkpoint_invalid (with `field`) for a config that CheckConfig refuses or whose weights pass 2^53 bytes.
  WeightsLayout(const ModelConfig& config, DType dtype, ModelHead head = ModelHead::kLanguage);

  // Of matrices.
  DType dtype() const { return dtype_; }
  // Of norms, biases and the value head.
  DType vector_dtype() const { return dtype_ == DType::kI8 ? DType::kF32 : dtype_; }
  ModelHead head() const { return head_; }
  uint64_t total_bytes() const { return total_bytes_; }
  // In checkpoint order: by name, as safetensors writes tensors of one dtype.
  const std::vector<TensorSlice>& tensors() const { return tensors_; }
  // Undefined name: nullptr.
  const TensorSlice* Find(const std::string& name) const;

  const std::vector<LayerOffsets>& layers() const { return layers_; }
  uint64_t embedding() const { return embedding_; }    // (vocab, hidden)
  uint64_t final_norm() const { return final_norm_; }  // (hidden)
  uint64_t lm_head() const { return lm_head_; }        // (vocab, hidden); the embedding's when tied; kAbsent without
  uint64_t value_head() const { return value_head_; }  // (1, hidden); kAbsent for language models

  // The row scales of the fused matrix at `at`, in a region whose first byte is `weights`; nullptr unless int8.
  const float* RowScales(const std::byte* weights, uint64_t at, uint64_t rows, uint64_t columns) const;
  // The scales of an int8 tensor of a checkpoint: a tensor of its own.
  const TensorSlice& ScalesOf(const TensorSlice& tensor) const { return *Find(tensor.name + "_scale"); }

  // The first tensor in which two layouts differ in name or shape; empty if none. Dtypes are not compared, nor scales.
  std::string FirstShapeDifference(const WeightsLayout& other) const;

 private:
  struct Part {
    std::string name;
    uint64_t rows;
  };
  // Places `parts` stacked by rows at the next aligned offset and returns it. columns 0: vectors of `rows` elements.
  uint64_t Place(const std::vector<Part>& parts, uint64_t columns);
  uint64_t PlaceAs(DType dtype, const std::vector<Part>& parts, uint64_t columns);
  void PlaceOne(TensorSlice slice);
  LayerOffsets PlaceLayer(const ModelConfig& config, const std::string& prefix);

  DType dtype_;
  ModelHead head_;
  uint64_t total_bytes_ = 0;
  std::vector<TensorSlice> tensors_;
  std::map<std::string, size_t> by_name_;
  std::vector<LayerOffsets> layers_;
  uint64_t embedding_ = 0, final_norm_ = 0, lm_head_ = LayerOffsets::kAbsent,
           value_head_ = LayerOffsets::kAbsent;
};

}  // namespace tideline
