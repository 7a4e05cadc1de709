#include "engine/weights_layout.h"

#include <algorithm>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr uint64_t kAlignBytes = 256;
// JavaScript has to hold the size exactly.
constexpr uint64_t kMostBytes = uint64_t{1} << 53;

constexpr uint64_t Aligned(uint64_t offset) { return (offset + kAlignBytes - 1) / kAlignBytes * kAlignBytes; }

}  // namespace

WeightsLayout::WeightsLayout(const ModelConfig& config, DType dtype, ModelHead head) : dtype_(dtype), head_(head) {
  CheckConfig(config);
  embedding_ = Place({{"model.embed_tokens.weight", config.vocab_size}}, config.hidden_size);
  layers_.reserve(config.layers);
  for (uint64_t layer = 0; layer < config.layers; ++layer) {
    layers_.push_back(PlaceLayer(config, "model.layers." + std::to_string(layer) + "."));
  }
  final_norm_ = Place({{"model.norm.weight", config.hidden_size}}, 0);
  if (head == ModelHead::kValue) {
    value_head_ = PlaceAs(vector_dtype(), {{"value_head.weight", 1}}, config.hidden_size);
  } else {
    lm_head_ = config.tied_embeddings ? embedding_ : Place({{"lm_head.weight", config.vocab_size}}, config.hidden_size);
  }

  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (size_t index = 0; index < tensors_.size(); ++index) by_name_[tensors_[index].name] = index;
}

LayerOffsets WeightsLayout::PlaceLayer(const ModelConfig& config, const std::string& prefix) {
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const uint64_t hidden = config.hidden_size, q = config.q_size(), kv = config.kv_size();
  const uint64_t intermediate = config.intermediate_size;

  LayerOffsets at;
  at.input_norm = Place({{prefix + "input_layernorm.weight", hidden}}, 0);
  at.qkv = Place({{attention + "q_proj.weight", q}, {attention + "k_proj.weight", kv}, {attention + "v_proj.weight", kv}},
                 hidden);
  if (config.qkv_bias) {
    at.qkv_bias =
        Place({{attention + "q_proj.bias", q}, {attention + "k_proj.bias", kv}, {attention + "v_proj.bias", kv}}, 0);
  }
  if (config.qk_norm) {
    at.q_norm = Place({{attention + "q_norm.weight", config.head_dim}}, 0);
    at.k_norm = Place({{attention + "k_norm.weight", config.head_dim}}, 0);
  }
  at.o_proj = Place({{attention + "o_proj.weight", hidden}}, q);
  if (config.output_bias) at.o_bias = Place({{attention + "o_proj.bias", hidden}}, 0);
  at.post_norm = Place({{prefix + "post_attention_layernorm.weight", hidden}}, 0);
  at.gate_up = Place({{mlp + "gate_proj.weight", intermediate}, {mlp + "up_proj.weight", intermediate}}, hidden);
  if (config.mlp_bias) {
    at.gate_up_bias = Place({{mlp + "gate_proj.bias", intermediate}, {mlp + "up_proj.bias", intermediate}}, 0);
  }
  at.down = Place({{mlp + "down_proj.weight", hidden}}, intermediate);
  if (config.mlp_bias) at.down_bias = Place({{mlp + "down_proj.bias", hidden}}, 0);
  return at;
}

uint64_t WeightsLayout::Place(const std::vector<Part>& parts, uint64_t columns) {
  return PlaceAs(columns == 0 ? vector_dtype() : dtype_, parts, columns);
}

uint64_t WeightsLayout::PlaceAs(DType dtype, const std::vector<Part>& parts, uint64_t columns) {
  total_bytes_ = Aligned(total_bytes_);
  const uint64_t offset = total_bytes_;
  for (const Part& part : parts) {
    std::vector<uint64_t> shape{part.rows};
    if (columns != 0) shape.push_back(columns);
    PlaceOne({.name = part.name, .shape = std::move(shape), .dtype = dtype});
  }
  if (dtype != DType::kI8) return offset;
  total_bytes_ = Aligned(total_bytes_);  // where RowScales looks for them
  for (const Part& part : parts) {
    PlaceOne({.name = part.name + "_scale", .shape = {part.rows}, .dtype = DType::kF32, .row_scales = true});
  }
  return offset;
}

void WeightsLayout::PlaceOne(TensorSlice slice) {
  uint64_t bytes = DTypeBytes(slice.dtype);
  bool overflow = false;
  for (const uint64_t axis : slice.shape) overflow |= __builtin_mul_overflow(bytes, axis, &bytes);
  if (overflow || bytes > kMostBytes - total_bytes_) {
    throw Error("checkpoint_invalid", "the weights of this configuration would take more than 2^53 bytes",
                "config.json is damaged")
        .WithTensor(slice.name);
  }
  slice.offset = total_bytes_;
  slice.bytes = bytes;
  total_bytes_ += bytes;
  tensors_.push_back(std::move(slice));
}

const float* WeightsLayout::RowScales(const std::byte* weights, uint64_t at, uint64_t rows, uint64_t columns) const {
  if (dtype_ != DType::kI8) return nullptr;
  return reinterpret_cast<const float*>(weights + Aligned(at + rows * columns));
}

const TensorSlice* WeightsLayout::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

std::string WeightsLayout::FirstShapeDifference(const WeightsLayout& other) const {
  for (const TensorSlice& tensor : tensors_) {
    if (tensor.row_scales) continue;
    const TensorSlice* theirs = other.Find(tensor.name);
    if (theirs == nullptr || theirs->shape != tensor.shape) return tensor.name;
  }
  for (const TensorSlice& tensor : other.tensors_) {
    if (!tensor.row_scales && Find(tensor.name) == nullptr) return tensor.name;
  }
  return {};
}

}  // namespace tideline
