// Configs, checkpoints' tensors and weights between JavaScript and the core: what NativeModel and NativeEngine share.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/async.h"               // OperationQueue
#include "checkpoint/tensor_source.h"  // TensorSource
#include "engine/foreign_weights.h"    // ForeignWeights
#include "engine/model.h"              // Model, ModelConfig, DType

namespace tideline {

// Each throws bad_argument naming the field; whether the numbers make a model is the core's to say (CheckConfig).
ModelConfig ReadModelConfig(Napi::Value value);
std::vector<TensorSource> ReadTensorSources(Napi::Value value);
ForeignWeights ReadForeignWeights(Napi::Value value);
DType ReadDType(Napi::Value value, const char* what);
// The same or int8, which only weights are stored as.
DType ReadWeightDType(Napi::Value value, const char* what);
// `lm` when absent.
ModelHead ReadModelHead(const std::optional<Napi::Value>& value, const char* what);

// The Hugging Face tensors as views (TensorView of native/addon.d.ts).
Napi::Array TensorViews(Napi::Env env, const WeightsLayout& layout);
Napi::Promise ReadTensorAsync(const Napi::CallbackInfo& info, OperationQueue& queue, std::shared_ptr<Model> model);
Napi::Promise SaveAsync(const Napi::CallbackInfo& info, OperationQueue& queue, std::shared_ptr<Model> model);

}  // namespace tideline
