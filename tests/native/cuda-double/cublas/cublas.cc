// A double of libcublas.so for the double of the driver that computes (../compute): products as cuBLAS documents them, column
// by column, one element after the other, and what it only documents is checked and said: leading dimensions, types, that the
// stream and then the workspace were set, alignment, that all lies on the card and nothing over anything else. It fills
// the workspace with rubbish at each product, which AddressSanitizer and whoever else keeps something there will notice.
#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Status : int { kSuccess = 0, kNotInitialized = 1, kInvalidValue = 7, kExecutionFailed = 13, kNotSupported = 15 };
enum Operation : int { kN = 0, kT = 1 };
enum Type : int { kFloat32 = 0, kFloat16 = 2, kBFloat16 = 14 };
enum Compute : int { k32F = 68, k32FPedantic = 69 };
enum MathMode : int { kDefaultMath = 0, kNoReducedPrecisionReduction = 16 };

struct Handle {
  void* stream = nullptr;
  std::byte* workspace = nullptr;
  size_t workspace_bytes = 0;
  int math_mode = kDefaultMath;
};
std::set<Handle*> handles;

int Refuse(const std::string& why, Status status = kInvalidValue) {
  std::fprintf(stderr, "cublas: %s\n", why.c_str());
  return status;
}

// ---------------------------------------------------------------------------------------------------------------------
// The card

// Loaded by whoever calls us.
template <typename Function>
Function OfDriver(const char* name) {
  const char* path = std::getenv("TIDELINE_CUDA_DRIVER");
  void* driver = path ? ::dlopen(path, RTLD_NOW | RTLD_NOLOAD) : nullptr;
  void* found = driver ? ::dlsym(driver, name) : nullptr;
  if (!found) std::abort();  // without the double of the driver there is nothing to compute on
  return reinterpret_cast<Function>(found);
}

// Results of the driver are more than 100 but for the simplest, statuses less.
int Run(const char* call, const std::function<int()>& work) {
  static const auto run = OfDriver<int (*)(const char*, int (*)(void*), void*)>("tidelineDoubleRun");
  const auto of_argument = [](void* argument) { return (*static_cast<const std::function<int()>*>(argument))(); };
  const int result = run(call, of_argument, const_cast<std::function<int()>*>(&work));
  if (result == 201) return Refuse(std::string(call) + " without a current context", kNotInitialized);
  return result > 100 ? kExecutionFailed : result;
}

// What a graph may repeat: `work` is copied.
int Give(const char* call, const std::function<int()>& work) {
  static const auto give = OfDriver<int (*)(const char*, const std::function<int()>&)>("tidelineDoubleGive");
  const int result = give(call, work);
  if (result == 201) return Refuse(std::string(call) + " without a current context", kNotInitialized);
  return result > 100 ? kExecutionFailed : result;
}

bool Holds(const void* first, size_t bytes) {
  static const auto holds = OfDriver<bool (*)(const void*, size_t)>("tidelineDoubleHolds");
  return holds(first, bytes);
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrices

size_t BytesOf(Type type) { return type == kFloat32 ? sizeof(float) : sizeof(uint16_t); }

float Read(const void* first, Type type, size_t index) {
  if (type == kFloat32) return static_cast<const float*>(first)[index];
  const uint16_t stored = static_cast<const uint16_t*>(first)[index];
  if (type == kBFloat16) {
    const uint32_t bits = uint32_t{stored} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  _Float16 value;
  std::memcpy(&value, &stored, sizeof value);
  return static_cast<float>(value);
}

// To nearest even; no product here is a NaN.
void Write(void* first, Type type, size_t index, float value) {
  if (type == kFloat32) {
    static_cast<float*>(first)[index] = value;
  } else if (type == kBFloat16) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    static_cast<uint16_t*>(first)[index] = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  } else {
    const auto narrow = static_cast<_Float16>(value);
    std::memcpy(static_cast<uint16_t*>(first) + index, &narrow, sizeof narrow);
  }
}
float AsStored(float value, Type type) {
  float stored;
  Write(&stored, type, 0, value);
  return Read(&stored, type, 0);
}

// What tensor cores may do to float32 unless a pedantic type forbids it.
float ToTf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits &= 0xffffe000u;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Column by column: element (row, column) at column * leading + row.
struct Matrix {
  const char* name;
  const void* first;
  Type type;
  int leading, rows, columns;  // as stored

  size_t bytes() const { return ((static_cast<size_t>(columns) - 1) * leading + rows) * BytesOf(type); }
  // Empty, or what is wrong.
  std::string Problem() const {
    const std::string of = std::string(" of ") + name;
    if (leading < std::max(1, rows)) {
      return "the leading dimension" + of + ", " + std::to_string(leading) + ", is less than its rows, " + std::to_string(rows);
    }
    if (first == nullptr || reinterpret_cast<uintptr_t>(first) % BytesOf(type) != 0) return "the alignment" + of;
    return Holds(first, bytes()) ? "" : "the address" + of + ", which is not the card's";
  }
  bool Overlaps(const Matrix& other) const {
    const auto mine = reinterpret_cast<uintptr_t>(first), others = reinterpret_cast<uintptr_t>(other.first);
    return mine < others + other.bytes() && others < mine + bytes();
  }
};

}  // namespace

EXPORT int cublasGetVersion_v2(Handle*, int* version) {
  *version = 120405;
  return kSuccess;
}
EXPORT const char* cublasGetStatusString(int) { return "a status of the double"; }

EXPORT int cublasCreate_v2(Handle** handle) {
  return Run("cublasCreate", [&] {
    *handle = new Handle;
    handles.insert(*handle);
    return kSuccess;
  });
}
EXPORT int cublasDestroy_v2(Handle* handle) {
  return Run("cublasDestroy", [&]() -> int {
    if (handles.erase(handle) == 0) return Refuse("cublasDestroy of what is no handle", kNotInitialized);
    delete handle;
    return kSuccess;
  });
}
EXPORT int cublasSetStream_v2(Handle* handle, void* stream) {
  return Run("cublasSetStream", [&]() -> int {
    if (!handles.contains(handle)) return Refuse("cublasSetStream of what is no handle", kNotInitialized);
    *handle = {.stream = stream, .math_mode = handle->math_mode};  // back to a workspace of its own
    return kSuccess;
  });
}
EXPORT int cublasSetMathMode(Handle* handle, int mode) {
  return Run("cublasSetMathMode", [&]() -> int {
    if (!handles.contains(handle)) return Refuse("cublasSetMathMode of what is no handle", kNotInitialized);
    if (mode != kDefaultMath && mode != kNoReducedPrecisionReduction) return Refuse("a math mode that the double does not know");
    handle->math_mode = mode;
    return kSuccess;
  });
}
EXPORT int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
  return Run("cublasSetWorkspace", [&]() -> int {
    if (!handles.contains(handle)) return Refuse("cublasSetWorkspace of what is no handle", kNotInitialized);
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) return Refuse("the workspace is not aligned to 256");
    handle->workspace = static_cast<std::byte*>(workspace);
    handle->workspace_bytes = bytes;
    return kSuccess;
  });
}

EXPORT int cublasGemmEx(Handle* handle, Operation of_a, Operation of_b, int m, int n, int k, const float* alpha,
                        const void* a_first, Type a_type, int lda, const void* b_first, Type b_type, int ldb,
                        const float* beta, void* c_first, Type c_type, int ldc, Compute compute, int algorithm) {
  if (!alpha || !beta) return Refuse("no scalars");
  const auto product = [=, alpha = *alpha, beta = *beta]() -> int {
    if (!handles.contains(handle)) return Refuse("cublasGemmEx of what is no handle", kNotInitialized);
    if (!handle->stream) return Refuse("no stream was set");
    if (!handle->workspace || handle->workspace_bytes == 0) return Refuse("no workspace was set, or not after the stream");
    if (!Holds(handle->workspace, handle->workspace_bytes)) return Refuse("the workspace is not the card's memory");
    if ((of_a != kN && of_a != kT) || (of_b != kN && of_b != kT)) return Refuse("an operation that is none");
    if (m <= 0 || n <= 0 || k <= 0) return Refuse("an empty product");
    const bool typed = a_type == b_type && (c_type == kFloat32 || c_type == a_type) &&
                       (a_type == kFloat32 || a_type == kFloat16 || a_type == kBFloat16);
    if (!typed || (compute != k32F && compute != k32FPedantic)) return Refuse("types that do not go together", kNotSupported);
    if (algorithm != -1) return Refuse("an algorithm that is none");
    const Matrix a{"A", a_first, a_type, lda, of_a == kN ? m : k, of_a == kN ? k : m};
    const Matrix b{"B", b_first, b_type, ldb, of_b == kN ? k : n, of_b == kN ? n : k};
    const Matrix c{"C", c_first, c_type, ldc, m, n};
    const Matrix workspace{"the workspace", handle->workspace, kFloat32, 1, 1, static_cast<int>(handle->workspace_bytes / 4)};
    for (const Matrix& matrix : {a, b, c}) {
      if (const std::string problem = matrix.Problem(); !problem.empty()) return Refuse(problem);
      if (matrix.Overlaps(workspace)) return Refuse(std::string(matrix.name) + " lies in the workspace");
    }
    if (c.Overlaps(a) || c.Overlaps(b)) return Refuse("C lies over A or B");

    std::memset(handle->workspace, 0xa5, handle->workspace_bytes);
    const bool rounds = a_type == kFloat32 && compute != k32FPedantic;
    for (int column = 0; column < n; ++column) {
      for (int row = 0; row < m; ++row) {
        float sum = 0;
        for (int step = 0; step < k; ++step) {
          // Unless it is forbidden, a sum may be made of parts that are rounded to what C is.
          if (step == k / 2 && handle->math_mode != kNoReducedPrecisionReduction) sum = AsStored(sum, c_type);
          const size_t at_a = of_a == kN ? size_t(step) * lda + row : size_t(row) * lda + step;
          const size_t at_b = of_b == kN ? size_t(column) * ldb + step : size_t(step) * ldb + column;
          const float left = Read(a_first, a_type, at_a), right = Read(b_first, b_type, at_b);
          sum += rounds ? ToTf32(left) * ToTf32(right) : left * right;
        }
        const size_t at_c = size_t(column) * ldc + row;
        Write(c_first, c_type, at_c, beta == 0 ? alpha * sum : alpha * sum + beta * Read(c_first, c_type, at_c));
      }
    }
    return kSuccess;
  };
  return Give("cublasGemmEx", product);
}
