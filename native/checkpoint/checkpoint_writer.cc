#include "checkpoint/checkpoint_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr uint64_t kWriteBytes = 4 << 20;

Error Unwritable(const std::string& path, int code) {
  const bool full = code == ENOSPC || code == EDQUOT;
  return Error("checkpoint_unwritable", path + " cannot be written: " + std::strerror(code),
               full ? "free some space on that disk or choose another folder" : "check the folder and its permissions")
      .WithFile(path);
}

// The file under construction; removed unless Keep() was reached.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) : target_(target), path_(target + ".partial-XXXXXX") {
    descriptor_ = ::mkostemp(path_.data(), O_CLOEXEC);
    if (descriptor_ < 0) throw Unwritable(target_, errno);
    // mkostemp makes files for the owner only; a checkpoint is an ordinary file.
    ::fchmod(descriptor_, 0644);
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!kept_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void Write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) throw Unwritable(target_, written < 0 ? errno : ENOSPC);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void Keep() {
    if (::fsync(descriptor_) != 0) throw Unwritable(target_, errno);
    const int descriptor = std::exchange(descriptor_, -1);
    if (::close(descriptor) != 0) throw Unwritable(target_, errno);
    if (::rename(path_.c_str(), target_.c_str()) != 0) throw Unwritable(target_, errno);
    kept_ = true;
    SyncFolder();
  }

 private:
  // Makes the rename itself durable. Some file systems refuse to sync folders; the file is whole either way.
  void SyncFolder() const {
    const size_t slash = target_.find_last_of('/');
    const std::string folder = slash == std::string::npos ? "." : target_.substr(0, slash + 1);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    ::fsync(descriptor);
    ::close(descriptor);
  }

  std::string target_, path_;
  int descriptor_ = -1;
  bool kept_ = false;
};

}  // namespace

void WriteCheckpoint(const std::string& path, std::span<const std::byte> header,
                     const std::vector<CheckpointPart>& parts, const Operation& operation) {
  uint64_t total_bytes = header.size();
  for (const CheckpointPart& part : parts) total_bytes += part.bytes;
  uint64_t done_bytes = header.size();

  TemporaryFile file(path);
  file.Write(header);
  for (const CheckpointPart& part : parts) {
    for (uint64_t offset = 0; offset < part.bytes; offset += kWriteBytes) {
      const uint64_t bytes = std::min(kWriteBytes, part.bytes - offset);
      file.Write(part.view(offset, bytes));
      done_bytes += bytes;
      operation.Step(done_bytes, total_bytes);
    }
  }
  file.Keep();
}

}  // namespace tideline
