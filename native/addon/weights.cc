#include "addon/weights.h"

#include "addon/convert.h"  // ReadObject, ReadInteger, ToJs

namespace tideline {
namespace {

Napi::Array ReadArray(Napi::Value value, const char* what) {
  if (!value.IsArray()) throw Error("bad_argument", std::string(what) + " must be an array").WithField(what);
  return value.As<Napi::Array>();
}

std::vector<uint64_t> ReadShape(Napi::Value value) {
  const Napi::Array array = ReadArray(value, "tensors[].shape");
  std::vector<uint64_t> shape;
  for (uint32_t axis = 0; axis < array.Length(); ++axis) shape.push_back(ReadInteger(array.Get(axis), "tensors[].shape"));
  return shape;
}

// 128 hexadecimal digits.
ForeignHandle ReadForeignHandle(Napi::Value value) {
  constexpr char kDigits[] = "0123456789abcdef";
  const std::string text = ReadString(value, "allocations[]");
  ForeignHandle handle;
  if (text.size() != 2 * handle.size() || text.find_first_not_of(kDigits) != std::string::npos) {
    throw Error("bad_argument", "a handle has " + std::to_string(2 * handle.size()) + " hexadecimal digits, in lower case")
        .WithField("allocations[]");
  }
  for (size_t i = 0; i < handle.size(); ++i) handle[i] = static_cast<unsigned char>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  return handle;
}

RopeConfig ReadRope(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "config.rope");
  RopeConfig rope;
  const auto number = [&](const char* name, const char* what) { return ReadNumber(object.Get(name), what, 0, 1e15); };
  rope.theta = number("theta", "config.rope.theta");
  if (const auto dtype = Member(object, "frequencyDtype")) {
    rope.frequency_dtype = ReadDType(*dtype, "config.rope.frequencyDtype");
  }
  const std::string type = ReadString(object.Get("type"), "config.rope.type");
  if (type == "default") return rope;
  rope.factor = number("factor", "config.rope.factor");
  if (type == "linear") {
    rope.type = RopeConfig::Type::kLinear;
    return rope;
  }
  if (type != "llama3") {
    throw Error("model_unsupported", "rotary embeddings of type " + type + " are not known").WithField("config.rope.type");
  }
  rope.type = RopeConfig::Type::kLlama3;
  rope.low_freq_factor = number("lowFreqFactor", "config.rope.lowFreqFactor");
  rope.high_freq_factor = number("highFreqFactor", "config.rope.highFreqFactor");
  rope.original_max_positions = ReadInteger(object.Get("originalMaxPositions"), "config.rope.originalMaxPositions");
  return rope;
}

}  // namespace

ModelConfig ReadModelConfig(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "config");
  ModelConfig config;
  config.vocab_size = ReadInteger(object.Get("vocabSize"), "config.vocabSize");
  config.hidden_size = ReadInteger(object.Get("hiddenSize"), "config.hiddenSize");
  config.intermediate_size = ReadInteger(object.Get("intermediateSize"), "config.intermediateSize");
  config.layers = ReadInteger(object.Get("layers"), "config.layers");
  config.heads = ReadInteger(object.Get("heads"), "config.heads");
  config.kv_heads = ReadInteger(object.Get("kvHeads"), "config.kvHeads");
  config.head_dim = ReadInteger(object.Get("headDim"), "config.headDim");
  config.max_positions = ReadInteger(object.Get("maxPositions"), "config.maxPositions");
  config.rms_norm_eps = ReadNumber(object.Get("rmsNormEps"), "config.rmsNormEps", 0, 1);
  config.tied_embeddings = ReadBoolean(object.Get("tiedEmbeddings"), "config.tiedEmbeddings");
  config.qkv_bias = ReadBoolean(object.Get("qkvBias"), "config.qkvBias");
  config.output_bias = ReadBoolean(object.Get("outputBias"), "config.outputBias");
  config.mlp_bias = ReadBoolean(object.Get("mlpBias"), "config.mlpBias");
  config.qk_norm = ReadBoolean(object.Get("qkNorm"), "config.qkNorm");
  config.rope = ReadRope(object.Get("rope"));
  return config;
}

std::vector<TensorSource> ReadTensorSources(Napi::Value value) {
  const Napi::Array array = ReadArray(value, "tensors");
  std::vector<TensorSource> sources;
  sources.reserve(array.Length());
  for (uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::HandleScope scope(array.Env());
    const Napi::Object object = ReadObject(array.Get(index), "tensors[]");
    TensorSource source;
    source.name = ReadString(object.Get("name"), "tensors[].name");
    source.dtype = ReadString(object.Get("dtype"), "tensors[].dtype");
    source.file = ReadString(object.Get("file"), "tensors[].file");
    source.offset = ReadInteger(object.Get("offset"), "tensors[].offset");
    source.bytes = ReadInteger(object.Get("bytes"), "tensors[].bytes");
    source.shape = ReadShape(object.Get("shape"));
    sources.push_back(std::move(source));
  }
  return sources;
}

ForeignWeights ReadForeignWeights(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "weights");
  ForeignWeights weights;
  weights.device_uuid = ReadString(ReadObject(object.Get("device"), "weights.device").Get("uuid"), "weights.device.uuid");
  const Napi::Array allocations = ReadArray(object.Get("allocations"), "allocations");
  for (uint32_t index = 0; index < allocations.Length(); ++index) {
    weights.allocations.push_back(ReadForeignHandle(allocations.Get(index)));
  }
  const Napi::Array tensors = ReadArray(object.Get("tensors"), "tensors");
  for (uint32_t index = 0; index < tensors.Length(); ++index) {
    const Napi::HandleScope scope(tensors.Env());
    const Napi::Object given = ReadObject(tensors.Get(index), "tensors[]");
    weights.tensors.push_back({.name = ReadString(given.Get("name"), "tensors[].name"),
                               .dtype = ReadString(given.Get("dtype"), "tensors[].dtype"),
                               .shape = ReadShape(given.Get("shape")),
                               .allocation = ReadInteger(given.Get("allocation"), "tensors[].allocation"),
                               .offset = ReadInteger(given.Get("offset"), "tensors[].offset"),
                               .bytes = ReadInteger(given.Get("bytes"), "tensors[].bytes")});
  }
  return weights;
}

DType ReadDType(Napi::Value value, const char* what) {
  const std::string name = ReadString(value, what);
  const auto dtype = DTypeFromName(name);
  if (!dtype || DTypeName(*dtype) != name) {
    throw Error("bad_argument", std::string(what) + " must be float32, float16 or bfloat16").WithField(what);
  }
  return *dtype;
}

DType ReadWeightDType(Napi::Value value, const char* what) {
  return ReadString(value, what) == DTypeName(DType::kI8) ? DType::kI8 : ReadDType(value, what);
}

ModelHead ReadModelHead(const std::optional<Napi::Value>& value, const char* what) {
  if (!value) return ModelHead::kLanguage;
  return ReadWord<ModelHead>(*value, what, {{"lm", ModelHead::kLanguage}, {"value", ModelHead::kValue}});
}

Napi::Array TensorViews(Napi::Env env, const WeightsLayout& layout) {
  const auto& tensors = layout.tensors();
  Napi::Array views = Napi::Array::New(env, tensors.size());
  for (uint32_t index = 0; index < tensors.size(); ++index) {
    const TensorSlice& tensor = tensors[index];
    Napi::Object view = Napi::Object::New(env);
    view.Set("name", tensor.name);
    view.Set("dtype", std::string(SafetensorsName(tensor.dtype)));
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (uint32_t axis = 0; axis < tensor.shape.size(); ++axis) shape.Set(axis, ToJs(env, tensor.shape[axis]));
    view.Set("shape", shape);
    view.Set("offset", ToJs(env, tensor.offset));
    view.Set("bytes", ToJs(env, tensor.bytes));
    views.Set(index, view);
  }
  return views;
}

Napi::Promise ReadTensorAsync(const Napi::CallbackInfo& info, OperationQueue& queue, std::shared_ptr<Model> model) {
  return RunAsync(
      info.This().As<Napi::Object>(), queue,
      [model, name = ReadString(info[0], "name")] { return model->ReadTensor(name); },
      [](Napi::Env env, const std::vector<std::byte>& bytes) {
        Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
        std::copy_n(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), array.Data());
        return array;
      });
}

Napi::Promise SaveAsync(const Napi::CallbackInfo& info, OperationQueue& queue, std::shared_ptr<Model> model) {
  const std::string file = ReadString(info[0], "file");
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Error("bad_argument", "header must be a Uint8Array").WithField("header");
  }
  const auto given = info[1].As<Napi::Uint8Array>();
  const auto* first = reinterpret_cast<const std::byte*>(given.Data());
  std::vector<std::byte> header(first, first + given.ByteLength());
  std::vector<std::string> names;
  const Napi::Array array = ReadArray(info[2], "names");
  for (uint32_t index = 0; index < array.Length(); ++index) names.push_back(ReadString(array.Get(index), "names[]"));
  const LongOperation operation = ReadLongOperation(info.Env(), info[3]);
  return RunAsync(
      info.This().As<Napi::Object>(), queue,
      [=] { model->Save(file, header, names, operation.ForCore()); }, kNothingToJs, operation.cancellation);
}

}  // namespace tideline
