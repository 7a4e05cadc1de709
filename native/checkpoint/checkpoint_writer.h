// Writes a checkpoint file so that it is either whole or not there: into a temporary file beside the target, synced,
// then renamed over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "memory/progress.h"  // Operation

namespace tideline {

struct CheckpointPart {
  uint64_t bytes;
  // Some of them, until the next call for any part.
  std::function<std::span<const std::byte>(uint64_t offset, uint64_t bytes)> view;
};

// Writes `header`, then `parts` back to back. On any failure the temporary file is removed and an existing target is
// untouched. Errors: checkpoint_unwritable (with `file`; a full disk says so), cancelled, and what a part throws.
void WriteCheckpoint(const std::string& path, std::span<const std::byte> header,
                     const std::vector<CheckpointPart>& parts, const Operation& operation);

}  // namespace tideline
