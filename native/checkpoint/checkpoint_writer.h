// Writes a checkpoint file so that it is either whole or not there: into a temporary file beside the target, synced,
// then renamed over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "memory/progress.h"  // Operation

namespace tideline {

// Writes `header`, then `parts` back to back. On any failure the temporary file is removed and an existing target is
// untouched. Errors: checkpoint_unwritable (with `file`; a full disk says so), cancelled.
void WriteCheckpoint(const std::string& path, std::span<const std::byte> header,
                     const std::vector<std::span<const std::byte>>& parts, const Operation& operation);

}  // namespace tideline
