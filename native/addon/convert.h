// Between JavaScript values and the core's types. Every reader checks its value and throws `bad_argument` naming the
// field: the core never sees a number that JavaScript could not mean.
#pragma once

#include <napi.h>

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memory/device.h"  // DeviceObservation
#include "memory/error.h"   // Error
#include "memory/region.h"  // Receipt, RegionObservation, ReleaseOptions

namespace tideline {

// Largest integer that a double holds exactly: 2^53 - 1.
inline constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;

// --- errors ---

// A JavaScript Error with `code`, `hint` and the other details as own properties.
Napi::Error ToJsError(Napi::Env env, const Error& error);
// Any C++ exception as an Error: what is not one becomes `internal`, std::bad_alloc `out_of_memory`.
Error ErrorFrom(std::exception_ptr thrown);

// Runs the body of a synchronous method: an Error in it is thrown to JavaScript.
template <typename Body>
auto Guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw ToJsError(env, ErrorFrom(std::current_exception()));
  }
}

// --- to JavaScript ---

Napi::Object ToJs(Napi::Env env, const DeviceUsage& usage);
Napi::Array ToJs(Napi::Env env, const std::vector<Holder>& holders);
Napi::Object ToJs(Napi::Env env, const Receipt& receipt);
Napi::Object ToJs(Napi::Env env, const RegionObservation& observation);
Napi::Array ToJs(Napi::Env env, const std::vector<RegionObservation>& observations);
Napi::Object ToJs(Napi::Env env, const DeviceObservation& observation);
Napi::Number ToJs(Napi::Env env, uint64_t value);
const char* NameOf(Residency residency);
const char* NameOf(Contents contents);
const char* NameOf(ReleaseMode mode);

// --- from JavaScript ---

// `what` names the value in the error: "options", "options.bytes".
Napi::Object ReadObject(Napi::Value value, const char* what);
// A whole number of [minimum, maximum].
uint64_t ReadInteger(Napi::Value value, const char* what, uint64_t minimum = 0, uint64_t maximum = kMaxSafeInteger);
// A finite number of [minimum, maximum].
double ReadNumber(Napi::Value value, const char* what, double minimum, double maximum);
// Not empty, no NUL.
std::string ReadString(Napi::Value value, const char* what);
bool ReadBoolean(Napi::Value value, const char* what);
// What one of a few words stands for.
template <typename Meaning>
Meaning ReadWord(Napi::Value value, const char* what, std::initializer_list<std::pair<const char*, Meaning>> words) {
  const std::string given = ReadString(value, what);
  std::string known;
  for (const auto& [word, meaning] : words) {
    if (given == word) return meaning;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  throw Error("bad_argument", std::string(what) + " must be one of " + known).WithField(what);
}
Napi::Function ReadFunction(Napi::Value value, const char* what);
// The member, or nothing when it is absent or undefined.
std::optional<Napi::Value> Member(Napi::Object object, const char* name);

ReleaseOptions ReadReleaseOptions(Napi::Value options);

}  // namespace tideline
