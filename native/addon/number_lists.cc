#include "addon/number_lists.h"

#include <algorithm>
#include <string>

#include "addon/convert.h"  // ReadInteger
#include "memory/error.h"   // Error

namespace tideline {
namespace {

[[noreturn]] void Refuse(const char* what, const char* expected) {
  throw Error("bad_argument", std::string(what) + " must be " + expected).WithField(what);
}

// Empty unless `value` is a typed array of `type`.
template <typename Array, typename Number>
bool CopyTyped(Napi::Value value, napi_typedarray_type type, std::vector<Number>& target) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) return false;
  const auto array = value.As<Array>();
  target.assign(array.Data(), array.Data() + array.ElementLength());
  return true;
}

}  // namespace

std::vector<double> ReadNumbers(Napi::Value value, const char* what) {
  std::vector<double> numbers;
  if (CopyTyped<Napi::Float32Array>(value, napi_float32_array, numbers)) return numbers;
  if (CopyTyped<Napi::Float64Array>(value, napi_float64_array, numbers)) return numbers;
  if (!value.IsArray()) Refuse(what, "an array of numbers, a Float32Array or a Float64Array");
  const auto array = value.As<Napi::Array>();
  numbers.resize(array.Length());
  for (uint32_t index = 0; index < numbers.size(); ++index) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Value number = array.Get(index);
    if (!number.IsNumber()) Refuse(what, "an array of numbers");
    numbers[index] = number.As<Napi::Number>().DoubleValue();
  }
  return numbers;
}

std::vector<uint32_t> ReadTokenIds(Napi::Value value, const char* what) {
  std::vector<uint32_t> ids;
  if (CopyTyped<Napi::Uint32Array>(value, napi_uint32_array, ids)) return ids;
  std::vector<int32_t> signed_ids;
  if (CopyTyped<Napi::Int32Array>(value, napi_int32_array, signed_ids)) {
    if (std::any_of(signed_ids.begin(), signed_ids.end(), [](int32_t id) { return id < 0; })) Refuse(what, "0 or more");
    return {signed_ids.begin(), signed_ids.end()};
  }
  if (!value.IsArray()) Refuse(what, "an array of whole numbers, a Uint32Array or an Int32Array");
  const auto array = value.As<Napi::Array>();
  ids.resize(array.Length());
  for (uint32_t index = 0; index < ids.size(); ++index) {
    const Napi::HandleScope scope(value.Env());
    ids[index] = static_cast<uint32_t>(ReadInteger(array.Get(index), what, 0, UINT32_MAX));
  }
  return ids;
}

std::vector<std::vector<double>> ReadRows(Napi::Value value, const char* what) {
  if (!value.IsArray()) Refuse(what, "an array of lists of numbers");
  const auto array = value.As<Napi::Array>();
  std::vector<std::vector<double>> rows(array.Length());
  for (uint32_t index = 0; index < rows.size(); ++index) {
    const Napi::HandleScope scope(value.Env());
    rows[index] = ReadNumbers(array.Get(index), what);
  }
  return rows;
}

Napi::Float32Array ToJs(Napi::Env env, const std::vector<float>& values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Array ToJs(Napi::Env env, const std::vector<std::vector<double>>& rows) {
  Napi::Array array = Napi::Array::New(env, rows.size());
  for (uint32_t index = 0; index < rows.size(); ++index) {
    Napi::Float64Array row = Napi::Float64Array::New(env, rows[index].size());
    std::copy(rows[index].begin(), rows[index].end(), row.Data());
    array.Set(index, row);
  }
  return array;
}

}  // namespace tideline
