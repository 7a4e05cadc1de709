// A checkpoint file mapped for reading, so that tensors are copied (or cast) straight from the page cache into their
// place without a buffer in between.
//
// A file that shrinks while it is mapped would raise SIGBUS; every View() therefore asks for the size again, which
// leaves only the moment of the copy itself. Checkpoints are written by rename (checkpoint_writer.h), never in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tideline {

class MappedFile {
 public:
  // Errors: checkpoint_unreadable (with `file`) when it is missing, not a regular file, or cannot be mapped.
  static std::shared_ptr<const MappedFile> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  uint64_t size_bytes() const { return size_bytes_; }
  const std::string& path() const { return path_; }

  // Bytes of the mapping itself, not a copy. Errors: checkpoint_invalid when the range is not inside the file;
  // checkpoint_unreadable when the file has shrunk since it was opened.
  std::span<const std::byte> View(uint64_t offset, uint64_t bytes) const;

  // Tells the system that the whole pages inside this range will not be read again, so that a loaded checkpoint does
  // not stay in the process's resident set.
  void DropBehind(uint64_t offset, uint64_t bytes) const;

 private:
  MappedFile(std::string path, int descriptor, void* address, uint64_t size_bytes);

  std::string path_;
  int descriptor_;
  void* address_;
  uint64_t size_bytes_;
};

}  // namespace tideline
