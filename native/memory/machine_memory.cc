// /proc/meminfo, /proc/self/statm and memory cgroups (version 2, and version 1 where it is still used).
#include "memory/machine_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// A line "name: 123 kB" of /proc/meminfo in bytes; unlimited when it is not there.
uint64_t MeminfoBytes(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kibibytes = 0;
  std::string rest;
  while (file >> key >> kibibytes) {
    if (key == name + ":") return kibibytes * 1024;
    std::getline(file, rest);
  }
  return kUnlimited;
}

// A file with one number; unlimited when it says "max" or cannot be read.
uint64_t NumberIn(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : kUnlimited;
}

// The value after `key` in a memory.stat file, 0 when it is not there.
uint64_t StatIn(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

struct CgroupFiles {
  std::string limit, usage, stat, cache_key;
};

// The memory cgroups of this process, innermost first. Inside a container the path may not exist below the mount; then
// the mount's root is the container's own group.
std::vector<CgroupFiles> Cgroups() {
  std::vector<CgroupFiles> groups;
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && ("," + controllers + ",").find(",memory,") == std::string::npos) continue;
    const std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    std::string path = line.substr(second + 1);
    while (true) {
      const std::string folder = root + (path == "/" ? "" : path);
      if (unified) {
        groups.push_back({folder + "/memory.max", folder + "/memory.current", folder + "/memory.stat", "inactive_file"});
      } else {
        groups.push_back({folder + "/memory.limit_in_bytes", folder + "/memory.usage_in_bytes", folder + "/memory.stat",
                          "total_inactive_file"});
      }
      if (path.empty() || path == "/") break;
      path.erase(path.find_last_of('/'));
    }
  }
  return groups;
}

}  // namespace

uint64_t AvailableMachineBytes() {
  uint64_t available = MeminfoBytes("MemAvailable");
  for (const CgroupFiles& group : Cgroups()) {
    const uint64_t limit = NumberIn(group.limit);
    const uint64_t usage = NumberIn(group.usage);
    if (limit == kUnlimited || usage == kUnlimited) continue;
    const uint64_t cache = std::min(usage, StatIn(group.stat, group.cache_key));
    const uint64_t taken = usage - cache;
    available = std::min(available, limit > taken ? limit - taken : 0);
  }
  return available;
}

uint64_t TotalMachineBytes() {
  uint64_t total = MeminfoBytes("MemTotal");
  for (const CgroupFiles& group : Cgroups()) total = std::min(total, NumberIn(group.limit));
  return total;
}

ResidentSet::ResidentSet()
    : file_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)), page_bytes_(static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))) {
  if (file_ < 0) throw Error("device_unavailable", "cannot read /proc/self/statm: the host device needs Linux's /proc");
}

ResidentSet::~ResidentSet() { ::close(file_); }

uint64_t ResidentSet::Bytes() const {
  char text[128];
  const ssize_t length = ::pread(file_, text, sizeof text - 1, 0);
  if (length <= 0) return 0;
  text[length] = '\0';
  char* at = text;
  std::strtoull(at, &at, 10);  // the first number is the size of the address space
  return std::strtoull(at, nullptr, 10) * page_bytes_;
}

}  // namespace tideline
