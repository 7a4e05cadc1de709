// Conversions declared in convert.h; the shapes are those of native/addon.d.ts.
#include "addon/convert.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <new>

namespace tideline {
namespace {

Napi::String ToJs(Napi::Env env, const std::string& value) { return Napi::String::New(env, value); }

[[noreturn]] void Refuse(const char* what, const std::string& expected) {
  throw Error("bad_argument", std::string(what) + " must be " + expected).WithField(what);
}

}  // namespace

Napi::Error ToJsError(Napi::Env env, const Error& error) {
  Napi::Error result = Napi::Error::New(env, error.what());
  Napi::Object object = result.Value();
  object.Set("code", ToJs(env, error.code));
  if (!error.hint.empty()) object.Set("hint", ToJs(env, error.hint));
  if (!error.file.empty()) object.Set("file", ToJs(env, error.file));
  if (!error.field.empty()) object.Set("field", ToJs(env, error.field));
  if (!error.tensor.empty()) object.Set("tensor", ToJs(env, error.tensor));
  if (error.memory) {
    object.Set("requestedBytes", ToJs(env, error.requested_bytes));
    object.Set("freeBytes", ToJs(env, error.free_bytes));
    object.Set("capacityBytes", ToJs(env, error.capacity_bytes));
    object.Set("holders", ToJs(env, error.holders));
  }
  return result;
}

Error ErrorFrom(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error("out_of_memory", "the process could not allocate host memory");
  } catch (const std::exception& other) {
    return Error("internal", other.what());
  } catch (...) {
    return Error("internal", "an unknown exception was thrown");
  }
}

const char* NameOf(Residency residency) {
  switch (residency) {
    case Residency::kResident: return "resident";
    case Residency::kReleased: return "released";
    case Residency::kHost: return "host";
    case Residency::kDisk: return "disk";
  }
  return "released";
}

const char* NameOf(Contents contents) { return contents == Contents::kDefined ? "defined" : "undefined"; }

const char* NameOf(ReleaseMode mode) {
  switch (mode) {
    case ReleaseMode::kDiscard: return "discard";
    case ReleaseMode::kHost: return "host";
    case ReleaseMode::kDisk: return "disk";
    case ReleaseMode::kClean: return "clean";
  }
  return "discard";
}

Napi::Number ToJs(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

Napi::Object ToJs(Napi::Env env, const DeviceUsage& usage) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("committedBytes", ToJs(env, usage.committed_bytes));
  object.Set("heldBytes", ToJs(env, usage.held_bytes));
  return object;
}

Napi::Array ToJs(Napi::Env env, const std::vector<Holder>& holders) {
  Napi::Array array = Napi::Array::New(env, holders.size());
  for (uint32_t i = 0; i < holders.size(); ++i) {
    Napi::Object holder = Napi::Object::New(env);
    holder.Set("consumer", ToJs(env, holders[i].consumer));
    holder.Set("bytes", ToJs(env, holders[i].bytes));
    array.Set(i, holder);
  }
  return array;
}

Napi::Object ToJs(Napi::Env env, const Receipt& receipt) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("action", ToJs(env, receipt.action));
  object.Set("consumer", ToJs(env, receipt.consumer));
  object.Set("method", ToJs(env, receipt.method));
  object.Set("bytesFreed", ToJs(env, receipt.bytes_freed));
  object.Set("bytesRetained", ToJs(env, receipt.bytes_retained));
  object.Set("bytesCommitted", ToJs(env, receipt.bytes_committed));
  object.Set("bytesCopied", ToJs(env, receipt.bytes_copied));
  if (receipt.action == "prepare") object.Set("bytesPrepared", ToJs(env, receipt.bytes_prepared));
  object.Set("milliseconds", Napi::Number::New(env, receipt.milliseconds));
  return object;
}

Napi::Object ToJs(Napi::Env env, const RegionObservation& observation) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("consumer", ToJs(env, observation.consumer));
  object.Set("tag", ToJs(env, observation.tag));
  const bool shared = !observation.shared_with.empty();
  object.Set("residency", shared ? "shared" : NameOf(observation.residency));
  if (shared) object.Set("sharedWith", ToJs(env, observation.shared_with));
  object.Set("contents", NameOf(observation.contents));
  object.Set("reservedBytes", ToJs(env, observation.reserved_bytes));
  object.Set("committedBytes", ToJs(env, observation.committed_bytes));
  object.Set("usedBytes", ToJs(env, observation.used_bytes));
  char address[2 + 16 + 1];
  std::snprintf(address, sizeof address, "0x%" PRIxPTR, observation.address);
  object.Set("address", static_cast<const char*>(address));
  if (observation.backup) {
    Napi::Object backup = Napi::Object::New(env);
    backup.Set("where", observation.backup->disk ? "disk" : "host");
    backup.Set("bytes", ToJs(env, observation.backup->bytes));
    backup.Set("clean", observation.backup->clean);
    if (observation.backup->disk) backup.Set("file", ToJs(env, observation.backup->file));
    object.Set("backup", backup);
  }
  return object;
}

Napi::Array ToJs(Napi::Env env, const std::vector<RegionObservation>& observations) {
  Napi::Array array = Napi::Array::New(env, observations.size());
  for (uint32_t i = 0; i < observations.size(); ++i) array.Set(i, ToJs(env, observations[i]));
  return array;
}

Napi::Object ToJs(Napi::Env env, const DeviceObservation& observation) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", ToJs(env, observation.name));
  object.Set("description", ToJs(env, observation.description));
  if (!observation.lost.empty()) object.Set("lost", ToJs(env, observation.lost));
  object.Set("capacityBytes", ToJs(env, observation.capacity_bytes));
  object.Set("chunkBytes", ToJs(env, observation.chunk_bytes));
  object.Set("committedBytes", ToJs(env, observation.committed_bytes));
  object.Set("heldBytes", ToJs(env, observation.held_bytes));
  object.Set("freeBytes", ToJs(env, observation.free_bytes));
  object.Set("contextBytes", ToJs(env, observation.context_bytes));
  object.Set("usedBytes", ToJs(env, observation.used_bytes));
  object.Set("totalBytes", ToJs(env, observation.total_bytes));
  object.Set("hostBackupBytes", ToJs(env, observation.host_backup_bytes));
  object.Set("regions", ToJs(env, observation.regions));
  return object;
}

Napi::Object ReadObject(Napi::Value value, const char* what) {
  if (!value.IsObject() || value.IsFunction() || value.IsArray()) Refuse(what, "an object");
  return value.As<Napi::Object>();
}

double ReadNumber(Napi::Value value, const char* what, double minimum, double maximum) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= minimum && number <= maximum)) {
    char expected[96];
    std::snprintf(expected, sizeof expected, "a number from %.17g to %.17g", minimum, maximum);
    Refuse(what, expected);
  }
  return number;
}

uint64_t ReadInteger(Napi::Value value, const char* what, uint64_t minimum, uint64_t maximum) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(minimum) && number <= static_cast<double>(maximum)) || std::floor(number) != number) {
    Refuse(what, "a whole number from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  }
  return static_cast<uint64_t>(number);
}

std::string ReadString(Napi::Value value, const char* what) {
  std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
  if (text.empty() || text.find('\0') != std::string::npos) Refuse(what, "text, not empty and without NUL");
  return text;
}

bool ReadBoolean(Napi::Value value, const char* what) {
  if (!value.IsBoolean()) Refuse(what, "true or false");
  return value.As<Napi::Boolean>().Value();
}

Napi::Function ReadFunction(Napi::Value value, const char* what) {
  if (!value.IsFunction()) Refuse(what, "a function");
  return value.As<Napi::Function>();
}

std::optional<Napi::Value> Member(Napi::Object object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (value.IsUndefined()) return std::nullopt;
  return value;
}

ReleaseOptions ReadReleaseOptions(Napi::Value options) {
  const Napi::Object object = ReadObject(options, "options");
  ReleaseOptions result;
  result.mode = ReadWord<ReleaseMode>(object.Get("mode"), "options.mode",
                                      {{"discard", ReleaseMode::kDiscard},
                                       {"host", ReleaseMode::kHost},
                                       {"disk", ReleaseMode::kDisk},
                                       {"clean", ReleaseMode::kClean}});
  if (const auto destination = Member(object, "destination")) {
    result.destination = ReadWord<Destination>(*destination, "options.destination",
                                               {{"hold", Destination::kHold}, {"return", Destination::kReturn}});
  }
  if (const auto directory = Member(object, "directory")) {
    result.directory = ReadString(*directory, "options.directory");
  }
  if (result.mode == ReleaseMode::kDisk && result.directory.empty()) {
    Refuse("options.directory", "given for a disk backup");
  }
  return result;
}

}  // namespace tideline
