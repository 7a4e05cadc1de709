#include "compute/cuda/cublas.h"

#include <limits>

#include "memory/error.h"  // Error

namespace tideline {
namespace {

constexpr char kHint[] = "name another cuBLAS with TIDELINE_CUBLAS, or set it to none: Tideline's own kernels compute then";

int AsInt(uint64_t size) {
  if (size > static_cast<uint64_t>(std::numeric_limits<int>::max())) {
    throw Error("unsupported", "a matrix of " + std::to_string(size) + " rows or columns is too large for cuBLAS", kHint);
  }
  return static_cast<int>(size);
}

cublas::DataType TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kF32: return cublas::kFloat32;
    case DType::kF16: return cublas::kFloat16;
    case DType::kBF16: return cublas::kBFloat16;
    case DType::kI8: break;
  }
  throw Error("internal", "cuBLAS is not asked for products of int8");
}

}  // namespace

std::unique_ptr<Cublas> Cublas::Open(CudaStream& stream) {
  const CublasSearch& search = FindCublas();
  if (search.library) return std::unique_ptr<Cublas>(new Cublas(*search.library, stream));
  if (search.named) throw Error("unsupported", "TIDELINE_CUBLAS cannot be used: " + search.problem, kHint);
  return nullptr;
}

Cublas::Cublas(const CublasLibrary& library, CudaStream& stream) : library_(library), stream_(stream) {
  stream_.Run([&](cuda::Stream of_cuda) {
    Check(library_.Create(&handle_), "cublasCreate");
    try {
      Check(library_.SetStream(handle_, of_cuda), "cublasSetStream");
      // Where a sum is made of parts they are float32 too, whatever it is stored in.
      Check(library_.SetMathMode(handle_, cublas::kNoReducedPrecisionReduction), "cublasSetMathMode");
    } catch (...) {
      library_.Destroy(handle_);
      throw;
    }
  });
}

Cublas::~Cublas() {
  try {
    stream_.Run([&](cuda::Stream) { library_.Destroy(handle_); });
  } catch (const Error&) {  // a lost device, which the calls before have said
  }
}

// After cublasSetStream, which forgets it.
void Cublas::UseWorkspace(std::byte* workspace, uint64_t bytes) {
  stream_.Run([&](cuda::Stream) { Check(library_.SetWorkspace(handle_, workspace, bytes), "cublasSetWorkspace"); });
}

// cuBLAS reads matrices column by column, so it takes a matrix of ours for its transpose. The transpose of C = A B is
// C^T = B^T A^T: our B is its first operand and our A its second, our columns are its rows. B^T (columns, steps) is what it
// reads in our (steps, columns), with `columns` from one of its columns to the next; our (columns, steps) has to be
// transposed. A^T (steps, rows) likewise is what it reads in our (rows, steps).
void Cublas::Multiply(const MatrixProduct& product) {
  if (product.rows == 0 || product.columns == 0) return;
  const int rows = AsInt(product.rows), columns = AsInt(product.columns), steps = AsInt(product.steps);
  const bool b_across = product.b_lie == MatrixProduct::Lie::kAcross, a_along = product.a_lie == MatrixProduct::Lie::kAlong;
  const cublas::DataType type = TypeOf(product.dtype);
  const float one = 1, beta = product.accumulate ? 1 : 0;
  stream_.Run([&](cuda::Stream) {
    Check(library_.GemmEx(handle_, b_across ? cublas::kAsStored : cublas::kTransposed,
                          a_along ? cublas::kAsStored : cublas::kTransposed, columns, rows, steps, &one,    //
                          product.b, type, b_across ? columns : steps, product.a, type, a_along ? steps : rows,  //
                          &beta, product.c, TypeOf(product.c_dtype), product.c_stride == 0 ? columns : AsInt(product.c_stride),
                          product.dtype == DType::kF32 ? cublas::kCompute32FPedantic : cublas::kCompute32F,
                          cublas::kDefaultAlgorithm),
          "cublasGemmEx");
  });
}

void Cublas::Check(cublas::Status status, const char* what) const {
  if (status == cublas::kSuccess) return;
  const std::string message =
      std::string(what) + ": " + library_.GetStatusString(status) + " (" + std::to_string(status) + ")";
  if (status == cublas::kAllocFailed) {
    throw Error("out_of_memory", message, "leave the GPU more memory outside the budget");
  }
  stream_.Synchronize();  // says whether the device is lost, which cuBLAS does not
  switch (status) {
    case cublas::kNotInitialized:
    case cublas::kArchMismatch:
    case cublas::kNotSupported:
    case cublas::kLicenseError:
      throw Error("unsupported", library_.path + " cannot compute on this GPU: " + message, kHint);
    default:
      throw Error("internal", message);
  }
}

uint64_t CublasWorkspaceBytes(int ordinal) {
  if (!FindCublas().library) return 0;
  constexpr int kCapabilityMajor = 75, kHopper = 9;
  const auto driver = CudaDriver::Load();
  cuda::Ordinal device = 0;
  int major = 0;
  cuda::Result result = driver->DeviceGet(&device, ordinal);
  if (result == cuda::kSuccess) result = driver->DeviceGetAttribute(&major, kCapabilityMajor, device);
  if (result != cuda::kSuccess) {
    throw Error("device_unavailable", "the GPU does not say what it can do: " + driver->Describe(result),
                "choose the device again, or the host device");
  }
  // As NVIDIA recommends (cublasSetWorkspace).
  return uint64_t{major >= kHopper ? 32u : 4u} << 20;
}

}  // namespace tideline
