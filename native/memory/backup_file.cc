// The file's format, written and read in pieces.
#include "memory/backup_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "memory/crc32c.h"    // Crc32c
#include "memory/parallel.h"  // ForPieces

namespace tideline {
namespace {

constexpr char kMagic[8] = {'T', 'I', 'D', 'E', 'L', 'N', 'B', 'K'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kPieceBytes = uint64_t{4} << 20;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t crc;  // of what follows it in the header, and of the table
  uint64_t data_bytes, piece_bytes, pieces;
};
static_assert(sizeof(Header) == 40);

uint32_t TableCrc(const Header& header, const std::vector<uint32_t>& table) {
  const uint32_t crc = Crc32c(0, &header.data_bytes, sizeof(Header) - offsetof(Header, data_bytes));
  return Crc32c(crc, table.data(), table.size() * sizeof(uint32_t));
}

// A file descriptor that closes itself.
class File {
 public:
  File(const std::string& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (number_ >= 0) ::close(number_);
  }
  File(const File&) = delete;
  int number() const { return number_; }

 private:
  const int number_;
};

Error IoError(const std::string& path, const char* what, int number) {
  const char* hint = number == ENOSPC || number == EDQUOT ? "free some space, or back up to another folder or to host memory"
                     : number == ENOENT                   ? "the folder has to exist"
                                                          : "";
  return Error("backup_io", std::string("cannot ") + what + " " + path + ": " + std::strerror(number), hint).WithFile(path);
}

Error Corrupt(const std::string& path, const std::string& what) {
  return Error("backup_corrupt", "backup " + path + " is damaged: " + what,
               "its contents are lost: discard the backup and load the data again")
      .WithFile(path);
}

void WriteAll(int file, const void* data, uint64_t bytes, uint64_t offset, const std::string& path) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(file, at, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw IoError(path, "write", written < 0 ? errno : ENOSPC);
    at += written;
    offset += static_cast<uint64_t>(written);
    bytes -= static_cast<uint64_t>(written);
  }
}

void ReadAll(int file, void* data, uint64_t bytes, uint64_t offset, const std::string& path) {
  auto* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::pread(file, at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError(path, "read", errno);
    if (got == 0) throw Corrupt(path, "it is cut short");
    at += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
}

// The folder's entry for a renamed file is only safe once the folder is synced too.
void SyncFolderOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const File file(folder, O_RDONLY | O_DIRECTORY);
  if (file.number() < 0 || ::fsync(file.number()) != 0) throw IoError(folder, "sync", errno);
}

// Opens the file and reads header and table, checking everything but the data.
std::vector<uint32_t> ReadTable(const File& file, const std::string& path, uint64_t bytes) {
  if (file.number() < 0) {
    if (errno == ENOENT) {
      throw Error("backup_missing", "backup " + path + " is gone", "its contents are lost: discard the backup and load the data again")
          .WithFile(path);
    }
    throw IoError(path, "open", errno);
  }
  Header header;
  ReadAll(file.number(), &header, sizeof header, 0, path);
  const uint64_t pieces = (bytes + kPieceBytes - 1) / kPieceBytes;
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) throw Corrupt(path, "it is not a backup");
  if (header.version != kVersion) throw Corrupt(path, "its version is " + std::to_string(header.version));
  if (header.data_bytes != bytes || header.piece_bytes != kPieceBytes || header.pieces != pieces) {
    throw Corrupt(path, "its header says " + std::to_string(header.data_bytes) + " bytes where " + std::to_string(bytes) +
                            " were saved");
  }
  std::vector<uint32_t> table(pieces);
  ReadAll(file.number(), table.data(), pieces * sizeof(uint32_t), sizeof header, path);
  if (TableCrc(header, table) != header.crc) throw Corrupt(path, "the checksum of its header does not match");
  struct stat status;
  if (::fstat(file.number(), &status) != 0) throw IoError(path, "read", errno);
  const uint64_t expected = sizeof header + pieces * sizeof(uint32_t) + bytes;
  if (static_cast<uint64_t>(status.st_size) != expected) {
    throw Corrupt(path, "it has " + std::to_string(status.st_size) + " bytes instead of " + std::to_string(expected));
  }
  return table;
}

void WriteContents(const std::string& path, Backing& backing, uintptr_t source, uint64_t bytes, const Operation& operation) {
  const File file(path, O_CREAT | O_TRUNC | O_WRONLY);
  if (file.number() < 0) throw IoError(path, "create", errno);
  Header header{{}, kVersion, 0, bytes, kPieceBytes, (bytes + kPieceBytes - 1) / kPieceBytes};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::vector<uint32_t> table(header.pieces);
  const uint64_t data_offset = sizeof header + table.size() * sizeof(uint32_t);
  // A full disk is found out before gigabytes are written, where the file system can tell.
  if (::fallocate(file.number(), 0, 0, static_cast<off_t>(data_offset + bytes)) != 0 && errno == ENOSPC) {
    throw IoError(path, "write", ENOSPC);
  }
  ForPieces(bytes, kPieceBytes, operation, [&](uint64_t offset, uint64_t piece) {
    std::vector<char> staging;
    const void* data = reinterpret_cast<const void*>(source + offset);
    if (!backing.is_host()) {
      staging.resize(piece);
      backing.CopyToHost(staging.data(), source + offset, piece, {});
      data = staging.data();
    }
    table[offset / kPieceBytes] = Crc32c(0, data, piece);
    WriteAll(file.number(), data, piece, data_offset + offset, path);
  });
  header.crc = TableCrc(header, table);
  WriteAll(file.number(), &header, sizeof header, 0, path);
  WriteAll(file.number(), table.data(), table.size() * sizeof(uint32_t), sizeof header, path);
  if (::fsync(file.number()) != 0) throw IoError(path, "sync", errno);
}

}  // namespace

BackupFile BackupFile::Write(std::string path, Backing& backing, uintptr_t source, uint64_t bytes,
                             const Operation& operation) {
  const std::string temporary = path + ".part";
  try {
    WriteContents(temporary, backing, source, bytes, operation);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw IoError(path, "create", errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  BackupFile file(std::move(path));  // deletes the file again if syncing the folder fails
  SyncFolderOf(file.path_);
  return file;
}

BackupFile::BackupFile(BackupFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

BackupFile& BackupFile::operator=(BackupFile&& other) noexcept {
  // The same path means that the new file has already replaced the old one.
  if (!path_.empty() && path_ != other.path_) ::unlink(path_.c_str());
  path_ = std::exchange(other.path_, {});
  return *this;
}

BackupFile::~BackupFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void BackupFile::Check(uint64_t bytes) const { ReadTable(File(path_, O_RDONLY), path_, bytes); }

void BackupFile::Read(Backing& backing, uintptr_t target, uint64_t bytes, const Operation& operation) const {
  const File file(path_, O_RDONLY);
  const std::vector<uint32_t> table = ReadTable(file, path_, bytes);
  const uint64_t data_offset = sizeof(Header) + table.size() * sizeof(uint32_t);
  ForPieces(bytes, kPieceBytes, operation, [&](uint64_t offset, uint64_t piece) {
    std::vector<char> staging;
    void* data = reinterpret_cast<void*>(target + offset);
    if (!backing.is_host()) {
      staging.resize(piece);
      data = staging.data();
    }
    ReadAll(file.number(), data, piece, data_offset + offset, path_);
    if (Crc32c(0, data, piece) != table[offset / kPieceBytes]) {
      throw Corrupt(path_, "the checksum of bytes " + std::to_string(offset) + " to " + std::to_string(offset + piece) +
                               " does not match");
    }
    if (!backing.is_host()) backing.CopyFromHost(target + offset, data, piece, {});
  });
}

}  // namespace tideline
