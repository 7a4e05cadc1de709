// Cublas: matrix products of one CudaStream by cuBLAS, in memory that it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "compute/cuda/cublas_library.h"  // CublasLibrary
#include "compute/cuda/cuda_stream.h"     // CudaStream
#include "compute/dtype.h"                // DType

namespace tideline {

// C (rows, columns) = or += A (rows, steps) * B (steps, columns), all row by row; sums are float32.
struct MatrixProduct {
  // How an operand lies: where the elements of one row of A, or one column of B, are side by side it lies along the steps;
  // where those of one step are, across them.
  enum class Lie { kAlong, kAcross };
  const void* a;
  Lie a_lie;  // along: (rows, steps); across: (steps, rows)
  const void* b;
  Lie b_lie;    // along: (columns, steps); across: (steps, columns)
  DType dtype;  // of both
  void* c;
  uint64_t rows, columns, steps;
  bool accumulate;
  uint64_t c_stride = 0;  // from one row of C to the next; 0: C has just these columns
  DType c_dtype = DType::kF32;  // that, or the operands' own
};

class Cublas {
 public:
  // nullptr where there is no cuBLAS. Errors: unsupported (TIDELINE_CUBLAS names what cannot be used, or it cannot be used
  // on this GPU), out_of_memory, device_lost. `stream` outlives it.
  static std::unique_ptr<Cublas> Open(CudaStream& stream);
  ~Cublas();
  Cublas(const Cublas&) = delete;

  // Aligned to kWorkspaceAlignment, and of no other use for as long as products are made.
  void UseWorkspace(std::byte* workspace, uint64_t bytes);
  // The same bits for the same product each time: one stream, one workspace, and no atomics unless they are asked for.
  void Multiply(const MatrixProduct& product);

  static constexpr uint64_t kWorkspaceAlignment = 256;

 private:
  Cublas(const CublasLibrary& library, CudaStream& stream);
  void Check(cublas::Status status, const char* what) const;

  const CublasLibrary& library_;
  CudaStream& stream_;
  cublas::Handle handle_ = nullptr;
};

// What it computes best in on this GPU; 0 where there is no cuBLAS. Error device_unavailable.
uint64_t CublasWorkspaceBytes(int ordinal);

}  // namespace tideline
