// The other side of native/memory/sharing.h in one page: maps a shared region through the driver that TIDELINE_CUDA_DRIVER
// names, and does what it is told on its standard input: `read <offset> <bytes>`, `write <offset> <byte>`, `end`. Answers
// are lines of its standard output; the first is the region's description.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "../driver_call.h"

namespace {

void Receive(int socket, void* target, size_t bytes) {
  auto* at = static_cast<char*>(target);
  while (bytes > 0) {
    const ssize_t got = ::recv(socket, at, bytes, 0);
    if (got <= 0) {
      std::puts("the connection ended");
      std::exit(1);
    }
    at += got;
    bytes -= static_cast<size_t>(got);
  }
}

std::vector<int> ReceiveFiles(int socket) {
  uint32_t count = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
  iovec part{&count, sizeof count};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof count) std::exit(1);
  std::vector<int> files(count);
  std::memcpy(files.data(), CMSG_DATA(CMSG_FIRSTHDR(&message)), count * sizeof(int));
  return files;
}

uint64_t NumberAfter(const std::string& json, const char* name) {
  const std::string key = std::string("\"") + name + "\":";
  return std::strtoull(json.c_str() + json.find(key) + key.size(), nullptr, 10);
}

// "chunks":[{"bytes":…,"count":…},…], spelled out.
std::vector<uint64_t> ChunksOf(const std::string& json) {
  const size_t begin = json.find("\"chunks\":");
  const std::string list = json.substr(begin, json.find(']', begin) - begin);
  std::vector<uint64_t> chunks;
  for (size_t run = list.find('{'); run != std::string::npos; run = list.find('{', run + 1)) {
    const std::string text = list.substr(run);
    chunks.insert(chunks.end(), NumberAfter(text, "count"), NumberAfter(text, "bytes"));
  }
  return chunks;
}

}  // namespace

int main(int, char** arguments) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, arguments[1], sizeof address.sun_path - 1);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 1;
  struct {
    char magic[8];
    uint32_t version, bytes;
  } header;
  Receive(socket, &header, sizeof header);
  std::string description(header.bytes, '\0');
  Receive(socket, description.data(), description.size());
  std::printf("%.8s %u %s\n", header.magic, header.version, description.c_str());
  std::fflush(stdout);
  if (description.starts_with("{\"error\"")) return 0;

  const uint64_t bytes = NumberAfter(description, "bytes");
  const std::vector<uint64_t> chunks = ChunksOf(description);
  LoadDriver();
  Call("cuInit", 0u);
  void* context = nullptr;
  Call("cuDevicePrimaryCtxRetain", &context, 0);
  Call("cuCtxPushCurrent_v2", context);
  unsigned long long base = 0;
  Call("cuMemAddressReserve", &base, size_t{bytes}, size_t{0}, 0ull, 0ull);
  auto chunk = chunks.begin();
  for (uint64_t mapped = 0; mapped < bytes;) {
    for (const int file : ReceiveFiles(socket)) {
      unsigned long long handle = 0;
      Call("cuMemImportFromShareableHandle", &handle, reinterpret_cast<void*>(static_cast<intptr_t>(file)), 1);
      Call("cuMemMap", base + mapped, size_t{*chunk}, size_t{0}, handle, 0ull);
      Call("cuMemRelease", handle);
      ::close(file);
      mapped += *chunk++;
    }
    ::send(socket, "", 1, 0);
  }
  const int access[] = {1, 0, 3};  // device 0, readable and writable
  Call("cuMemSetAccess", base, size_t{bytes}, static_cast<const void*>(access), size_t{1});
  void* stream = nullptr;
  Call("cuStreamCreate", &stream, 1u);
  std::puts("mapped");
  std::fflush(stdout);

  std::string command;
  while (std::cin >> command && command != "end") {
    uint64_t offset = 0, number = 0;
    std::cin >> offset >> number;
    if (command == "read") {
      std::vector<unsigned char> data(number);
      Call("cuMemcpyDtoHAsync_v2", static_cast<void*>(data.data()), base + offset, size_t{number}, stream);
      for (const unsigned char byte : data) std::printf("%02x", byte);
    } else {
      const auto byte = static_cast<unsigned char>(number);
      Call("cuMemcpyHtoDAsync_v2", base + offset, static_cast<const void*>(&byte), size_t{1}, stream);
      std::printf("written");
    }
    Call("cuCtxSynchronize");
    std::puts("");
    std::fflush(stdout);
  }
  Call("cuStreamDestroy_v2", stream);
  uint64_t at = 0;
  for (const uint64_t chunk_bytes : chunks) {
    Call("cuMemUnmap", base + at, size_t{chunk_bytes});
    at += chunk_bytes;
  }
  Call("cuMemAddressFree", base, size_t{bytes});
  ::close(socket);
}
