// The one exception of the addon. It carries a code of core/errors.ts and the details that JavaScript sees as own
// properties of the Error, so that nothing above has to parse a message.
//
// Rule of the whole addon: an operation either completes or leaves everything as it was and throws this. It never
// exits the process and never swallows a failure.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tideline {

struct Holder {
  std::string consumer;
  uint64_t bytes;
};

class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code(std::move(code)), hint(std::move(hint)) {}

  // Details, set with the builders below: `throw Error("checkpoint_invalid", …).WithFile(path).WithTensor(name)`.
  Error WithFile(std::string value) && { file = std::move(value); return std::move(*this); }
  Error WithField(std::string value) && { field = std::move(value); return std::move(*this); }
  Error WithTensor(std::string value) && { tensor = std::move(value); return std::move(*this); }
  Error WithMemory(uint64_t requested, uint64_t free, uint64_t capacity, std::vector<Holder> who) && {
    memory = true; requested_bytes = requested; free_bytes = free; capacity_bytes = capacity; holders = std::move(who);
    return std::move(*this);
  }

  std::string code;
  std::string hint;
  std::string file, field, tensor;
  bool memory = false;  // the four fields below are set
  uint64_t requested_bytes = 0, free_bytes = 0, capacity_bytes = 0;
  std::vector<Holder> holders;
};

// The exception to the rule: what was being written is neither what it was nor what it should be. Whoever owns it marks it as
// undefined and says so with an Error of its own.
class HalfWritten : public Error {
 public:
  explicit HalfWritten(const Error& cause) : Error(cause) {}
};

}  // namespace tideline
