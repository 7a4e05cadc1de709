#include "checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

Error Unreadable(const std::string& path, const std::string& why) {
  return Error("checkpoint_unreadable", path + " cannot be read: " + why, "check the path and its permissions")
      .WithFile(path);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO that somebody called model.safetensors must not hang.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw Unreadable(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    const int code = errno;
    ::close(descriptor);
    throw Unreadable(path, std::strerror(code));
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw Unreadable(path, "it is not a regular file");
  }
  const uint64_t size_bytes = static_cast<uint64_t>(status.st_size);
  void* address = nullptr;
  if (size_bytes > 0) {  // mmap refuses a length of 0; an empty file has no tensors and every View of it fails
    address = ::mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
      const int code = errno;
      ::close(descriptor);
      throw Unreadable(path, std::strerror(code));
    }
    ::madvise(address, size_bytes, MADV_SEQUENTIAL);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, descriptor, address, size_bytes));
}

MappedFile::MappedFile(std::string path, int descriptor, void* address, uint64_t size_bytes)
    : path_(std::move(path)), descriptor_(descriptor), address_(address), size_bytes_(size_bytes) {}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_bytes_);
  ::close(descriptor_);
}

std::span<const std::byte> MappedFile::View(uint64_t offset, uint64_t bytes) const {
  if (offset > size_bytes_ || bytes > size_bytes_ - offset) {
    throw Error("checkpoint_invalid",
                path_ + " has " + std::to_string(size_bytes_) + " bytes, but a tensor asks for " +
                    std::to_string(bytes) + " bytes at " + std::to_string(offset),
                "the file is truncated or its header is wrong: download it again")
        .WithFile(path_);
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || static_cast<uint64_t>(status.st_size) < offset + bytes) {
    throw Unreadable(path_, "it became shorter while it was being read");
  }
  return {static_cast<const std::byte*>(address_) + offset, bytes};
}

void MappedFile::DropBehind(uint64_t offset, uint64_t bytes) const {
  const uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = (offset + page - 1) / page * page;
  const uint64_t end = (offset + bytes) / page * page;
  if (end > begin) ::madvise(static_cast<std::byte*>(address_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace tideline
