// Where cuBLAS may lie, and loading it, function by function.
#include "compute/cuda/cublas_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr char kNoCublas[] = "none";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Paths that are there, those with greater numbers first.
std::vector<std::string> Matching(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), GLOB_BRACE, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  std::reverse(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Folders under which Pythons keep their packages: those that are active, on the PATH, the user's and the system's.
std::vector<std::string> PythonPrefixes() {
  std::vector<std::string> prefixes{Environment("VIRTUAL_ENV"), Environment("CONDA_PREFIX")};
  for (const std::string& folder : Split(Environment("PATH"))) {
    if (::access((folder + "/python3").c_str(), X_OK) == 0) prefixes.push_back(folder + "/..");
  }
  if (const std::string home = Environment("HOME"); !home.empty()) prefixes.push_back(home + "/.local");
  prefixes.push_back("/usr/local");
  std::erase(prefixes, std::string());
  return prefixes;
}

std::vector<std::string> Folders() {
  std::vector<std::string> patterns;
  for (const char* toolkit : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const std::string folder = Environment(toolkit); !folder.empty()) patterns.push_back(folder + "/lib64");
  }
  patterns.insert(patterns.end(), {"/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib"});
  for (const std::string& prefix : PythonPrefixes()) {
    // nvidia-cublas-cu12 and nvidia-cublas, then conda's.
    patterns.push_back(prefix + "/lib{,64}/python3*/{site,dist}-packages/nvidia/{cublas,cu1[2-9]}/lib");
    patterns.push_back(prefix + "/{lib,targets/*/lib}");
  }
  std::vector<std::string> folders;
  for (const std::string& pattern : patterns) {
    for (const std::string& folder : Matching(pattern)) folders.push_back(folder);
  }
  return folders;
}

// A library of CUDA 13 wants a driver of CUDA 13; where there is no driver, nothing computes and anything may be found.
std::vector<std::string> Names() {
  try {
    int version = 0;
    const auto driver = CudaDriver::Load();
    if (driver->DriverGetVersion(&version) == cuda::kSuccess && version < 13000) return {"libcublas.so.12"};
  } catch (const Error&) {
  }
  return {"libcublas.so.13", "libcublas.so.12"};
}

template <typename Function>
bool Find(void* library, const char* name, Function& function, std::string& problem) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (!function) problem = std::string("it has no ") + name;
  return function != nullptr;
}

// Loads what `path` names, or says in `problem` why it cannot be used.
const CublasLibrary* Load(const std::string& path, std::string& problem) {
  // It needs its sibling, which the loader may not find by itself.
  if (const size_t slash = path.rfind('/'); slash != std::string::npos) {
    std::string sibling = path;
    if (const size_t at = sibling.find("libcublas.", slash); at != std::string::npos) {
      ::dlopen(sibling.replace(at, sizeof "libcublas." - 1, "libcublasLt.").c_str(), RTLD_LAZY | RTLD_LOCAL);
    }
  }
  void* handle = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!handle) {
    const char* reason = ::dlerror();
    problem = reason ? reason : path + " cannot be loaded";
    return nullptr;
  }
  static CublasLibrary library;
  if (!Find(handle, "cublasGetVersion_v2", library.GetVersion, problem) ||
      !Find(handle, "cublasGetStatusString", library.GetStatusString, problem) ||
      !Find(handle, "cublasCreate_v2", library.Create, problem) ||
      !Find(handle, "cublasDestroy_v2", library.Destroy, problem) ||
      !Find(handle, "cublasSetStream_v2", library.SetStream, problem) ||
      !Find(handle, "cublasSetMathMode", library.SetMathMode, problem) ||
      !Find(handle, "cublasSetWorkspace_v2", library.SetWorkspace, problem) ||
      !Find(handle, "cublasGemmEx", library.GemmEx, problem)) {
    problem = path + ": " + problem;
    return nullptr;
  }
  if (library.GetVersion(nullptr, &library.version) != cublas::kSuccess || library.version < 120000) {
    problem = path + " is not of CUDA 12 or newer";
    return nullptr;
  }
  Dl_info where{};
  const bool known = ::dladdr(reinterpret_cast<void*>(library.Create), &where) != 0 && where.dli_fname;
  library.path = known ? where.dli_fname : path;
  return &library;
}

CublasSearch Search() {
  CublasSearch search;
  const std::string named = Environment("TIDELINE_CUBLAS");
  if (named == kNoCublas) return search;
  if (!named.empty()) {
    search.named = true;
    search.library = Load(named, search.problem);
    return search;
  }
  const std::vector<std::string> names = Names(), folders = Folders();
  for (const std::string& name : names) {
    std::string not_on_path;  // says nothing that is not said by its absence
    if ((search.library = Load(name, not_on_path))) return search;
    for (const std::string& folder : folders) {
      const std::string path = folder + "/" + name;
      if (::access(path.c_str(), R_OK) == 0 && (search.library = Load(path, search.problem))) {
        search.problem.clear();
        return search;
      }
    }
  }
  return search;
}

}  // namespace

const CublasSearch& FindCublas() {
  static const CublasSearch search = Search();
  return search;
}

}  // namespace tideline
