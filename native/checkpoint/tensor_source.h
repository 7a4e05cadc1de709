// One tensor of a checkpoint on disk, as core/checkpoint read it from a safetensors header. Nothing in it is trusted:
// whoever reads the bytes checks every number against the mapped file (engine/weights_loader.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tideline {

struct TensorSource {
  std::string name;
  std::string dtype;  // safetensors spelling: F32, F16, BF16, I64, …
  std::vector<uint64_t> shape;
  std::string file;
  uint64_t offset = 0;  // from the start of the file
  uint64_t bytes = 0;
};

}  // namespace tideline
