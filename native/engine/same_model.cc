#include "engine/same_model.h"

#include "memory/error.h"  // Error

namespace tideline {
namespace {

std::string ShapeText(const WeightsLayout& layout, const std::string& tensor) {
  const TensorSlice* slice = layout.Find(tensor);
  if (slice == nullptr) return "none";
  std::string shape;
  for (const uint64_t axis : slice->shape) shape += (shape.empty() ? "[" : ", ") + std::to_string(axis);
  return shape + "]";
}

}  // namespace

void RefuseOtherModel(const NamedModel& reader, const NamedModel& source) {
  const std::string tensor = reader.layout.FirstShapeDifference(source.layout);
  if (!tensor.empty()) {
    throw Error("weights_mismatch",
                tensor + " of " + source.name + " has shape " + ShapeText(source.layout, tensor) + ", and " +
                    reader.name + " needs " + ShapeText(reader.layout, tensor),
                "choose weights of the same model")
        .WithTensor(tensor);
  }
  const std::string field = FirstArithmeticDifference(reader.config, source.config);
  if (!field.empty()) {
    throw Error("weights_mismatch",
                source.name + " has the shapes of " + reader.name + " but another " + field + ": it is another model",
                "choose weights of the same model")
        .WithField(field);
  }
  if (source.layout.dtype() == DType::kI8 && reader.layout.dtype() != DType::kI8) {
    throw Error("weights_mismatch",
                source.name + " is stored as int8, and what that rounded away does not come back for " + reader.name,
                "load the checkpoint itself")
        .WithField("dtype");
  }
}

}  // namespace tideline
