// One thread per shared region: it hands out descriptors, one borrower after another, and waits for connections to end.
#include "memory/sharing.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "memory/process_name.h"  // DescribeProcess

namespace tideline {
namespace {

constexpr char kMagic[8] = {'T', 'I', 'D', 'E', 'L', 'S', 'H', 'R'};
constexpr uint32_t kVersion = 1;
// Well below what the kernel takes in one message (253) and what a process may have open (1024).
constexpr size_t kBatch = 64;
// A borrower that says nothing for so long keeps the others waiting no longer.
constexpr timeval kPatience{10, 0};

// The borrower went away, or is not one: its loan ends, nobody else is concerned.
struct Gone {};

Error PathError(const std::string& path, const std::string& what) {
  return Error("bad_argument", "cannot share at " + path + ": " + what, "choose a short path in a folder of your own").WithField("path");
}

int Listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw PathError(path, "it is longer than a socket's path may be");
  std::memcpy(address.sun_path, path.data(), path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) throw PathError(path, std::strerror(errno));
  // Connecting is possible from listen on: by then it is this user's alone.
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(listener, 8) != 0) {
    const int reason = errno;
    ::close(listener);
    throw PathError(path, reason == EADDRINUSE ? "something is there already" : std::strerror(reason));
  }
  return listener;
}

void Send(int socket, const msghdr& message) {
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent <= 0) throw Gone{};
  // Ancillary data goes with the first byte; the rest of a long text may need more calls.
  auto rest = static_cast<size_t>(sent);
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    const iovec& part = message.msg_iov[i];
    const size_t skipped = std::min(rest, part.iov_len);
    rest -= skipped;
    const auto* at = static_cast<const char*>(part.iov_base) + skipped;
    for (size_t left = part.iov_len - skipped; left > 0;) {
      const ssize_t more = ::send(socket, at, left, MSG_NOSIGNAL);
      if (more < 0 && errno == EINTR) continue;
      if (more <= 0) throw Gone{};
      at += more;
      left -= static_cast<size_t>(more);
    }
  }
}

void SendDescription(int socket, std::string json) {
  uint32_t numbers[2] = {kVersion, static_cast<uint32_t>(json.size())};
  iovec parts[] = {{const_cast<char*>(kMagic), sizeof kMagic}, {numbers, sizeof numbers}, {json.data(), json.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  Send(socket, message);
}

void SendFiles(int socket, const std::vector<int>& files) {
  auto count = static_cast<uint32_t>(files.size());
  iovec part{&count, sizeof count};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kBatch * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), files.data(), files.size() * sizeof(int));
  Send(socket, message);
}

void AwaitAcknowledgement(int socket) {
  char byte;
  ssize_t got;
  do {
    got = ::recv(socket, &byte, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) throw Gone{};
}

// Codes and messages are ours: quotes and control characters do not occur, names of consumers may hold any.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(character) < ' ' ? ' ' : character;
  }
  return quoted + '"';
}

std::string ToJson(const Error& error) {
  return "{\"error\":{\"code\":" + Quoted(error.code) + ",\"message\":" + Quoted(error.what()) + ",\"hint\":" +
         Quoted(error.hint) + "}}";
}

}  // namespace

Sharing::Sharing(std::shared_ptr<Region> region, std::string path, std::string description)
    : region_(std::move(region)), path_(std::move(path)), description_(std::move(description)), listener_(Listen(path_)) {
  thread_ = std::thread([this] { Serve(); });
}

Sharing::~Sharing() { Close(); }

size_t Sharing::borrowers() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(borrowers_.begin(), borrowers_.end(), [](const auto& one) { return one.has_loan; }));
}

void Sharing::Close() {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    // Wakes the thread from whatever it waits for.
    ::shutdown(listener_, SHUT_RDWR);
    for (const Borrower& borrower : borrowers_) ::shutdown(borrower.socket, SHUT_RDWR);
  }
  thread_.join();
  ::close(listener_);
  ::unlink(path_.c_str());
}

void Sharing::Serve() {
  for (;;) {
    std::vector<pollfd> waited{{listener_, POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      if (closing_) break;
      for (const Borrower& borrower : borrowers_) waited.push_back({borrower.socket, POLLIN, 0});
    }
    if (::poll(waited.data(), waited.size(), -1) < 0) continue;  // a signal
    // Nobody has anything more to say: whatever arrives is the end of a loan.
    auto borrower = borrowers_.begin();
    for (size_t i = 1; i < waited.size(); ++i) {
      const auto next = std::next(borrower);
      if (waited[i].revents != 0) Drop(borrower);
      borrower = next;
    }
    if (waited[0].revents != 0) Accept();
  }
  while (!borrowers_.empty()) Drop(borrowers_.begin());
}

void Sharing::Accept() {
  const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) return;
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  ucred peer{};
  socklen_t peer_bytes = sizeof peer;
  const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) == 0;
  std::list<Borrower>::iterator borrower;
  {
    const std::lock_guard lock(mutex_);
    borrowers_.push_back({socket, DescribeProcess(static_cast<unsigned>(peer.pid))});
    borrower = std::prev(borrowers_.end());
    if (closing_) ::shutdown(socket, SHUT_RDWR);
  }
  try {
    if (!known || peer.uid != ::geteuid()) throw Gone{};
    Lend(*borrower);
  } catch (const Gone&) {
    Drop(borrower);
  }
}

void Sharing::Lend(Borrower& borrower) {
  try {
    region_->BeginLoan(borrower.name);
  } catch (const Error& error) {
    SendDescription(borrower.socket, ToJson(error));
    throw Gone{};
  }
  {
    const std::lock_guard lock(mutex_);
    borrower.has_loan = true;
  }
  SendDescription(borrower.socket, description_);
  const size_t chunks = region_->chunk_sizes().size();
  for (size_t first = 0; first < chunks; first += kBatch) {
    struct Files {
      std::vector<int> numbers;
      ~Files() {
        for (const int number : numbers) ::close(number);
      }
    } files;
    try {
      for (size_t i = first; i < std::min(chunks, first + kBatch); ++i) files.numbers.push_back(region_->ExportChunk(i));
    } catch (const Error&) {
      throw Gone{};  // the driver refuses: the borrower sees its connection end
    }
    SendFiles(borrower.socket, files.numbers);
    AwaitAcknowledgement(borrower.socket);
  }
}

void Sharing::Drop(std::list<Borrower>::iterator borrower) {
  if (borrower->has_loan) region_->EndLoan(borrower->name);
  const std::lock_guard lock(mutex_);
  ::close(borrower->socket);
  borrowers_.erase(borrower);
}

}  // namespace tideline
