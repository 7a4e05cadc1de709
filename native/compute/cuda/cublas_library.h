// cuBLAS through dlopen, with our own declarations of the few calls that matrix products need: Tideline builds without its
// headers, and computes without it where it is not there (kernels/linear.cu), only slower.
//
// Types, values and signatures are those of cublas_api.h and library_types.h in CUDA 12 and 13 as NVIDIA documents them
// (docs.nvidia.com/cuda/cublas: 2.2 "cuBLAS Datatypes Reference", 2.4 "Helper Functions", 2.8 "BLAS-like Extension",
// cublasGemmEx); public bindings made of both versions' headers (cudarc, CuPy) have the same numbers.
#pragma once

#include <cstddef>
#include <string>

#include "memory/cuda_driver.h"  // cuda::Stream

namespace tideline {

namespace cublas {

using Handle = struct HandleObject*;

enum Status : int {
  kSuccess = 0, kNotInitialized = 1, kAllocFailed = 3, kInvalidValue = 7, kArchMismatch = 8, kMappingError = 11,
  kExecutionFailed = 13, kInternalError = 14, kNotSupported = 15, kLicenseError = 16,
};
enum Operation : int { kAsStored = 0, kTransposed = 1 };
enum DataType : int { kFloat32 = 0, kFloat16 = 2, kBFloat16 = 14 };  // cudaDataType
// Pedantic: float32 in, float32 throughout, whatever else has been allowed (TF32, emulation).
enum ComputeType : int { kCompute32F = 68, kCompute32FPedantic = 69 };
enum Algorithm : int { kDefaultAlgorithm = -1 };
enum MathMode : int { kNoReducedPrecisionReduction = 16 };

}  // namespace cublas

struct CublasLibrary {
  std::string path;
  int version;  // 10000 * major + 100 * minor + patch

  cublas::Status (*GetVersion)(cublas::Handle, int*);  // a null handle will do
  const char* (*GetStatusString)(cublas::Status);
  cublas::Status (*Create)(cublas::Handle*);
  cublas::Status (*Destroy)(cublas::Handle);
  cublas::Status (*SetStream)(cublas::Handle, cuda::Stream);
  cublas::Status (*SetMathMode)(cublas::Handle, cublas::MathMode);
  cublas::Status (*SetWorkspace)(cublas::Handle, void*, size_t);
  // Matrices lie column by column. C (m, n) = alpha * op(A) (m, k) * op(B) (k, n) + beta * C.
  cublas::Status (*GemmEx)(cublas::Handle, cublas::Operation of_a, cublas::Operation of_b, int m, int n, int k,
                           const void* alpha, const void* a, cublas::DataType a_type, int lda, const void* b,
                           cublas::DataType b_type, int ldb, const void* beta, void* c, cublas::DataType c_type, int ldc,
                           cublas::ComputeType, cublas::Algorithm);
};

struct CublasSearch {
  const CublasLibrary* library = nullptr;
  std::string problem;  // why what is there, or what was named, cannot be used
  bool named = false;   // TIDELINE_CUBLAS names a library
};

// Looked for once per process: what the environment variable TIDELINE_CUBLAS names ("none": no cuBLAS); else the loader's
// path, toolkits, and the wheels of Pythons at hand. It stays loaded.
const CublasSearch& FindCublas();

}  // namespace tideline
