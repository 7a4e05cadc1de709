#include "compute/host/training_kernels.h"

#include <cstring>

#include "compute/host/kernels.h"  // KernelsFor, BestKernels: which instruction sets this CPU has

namespace tideline {

namespace training_kernels_baseline { extern const TrainingKernels kTrainingKernels; }
namespace training_kernels_avx2 { extern const TrainingKernels kTrainingKernels; }
namespace training_kernels_avx512 { extern const TrainingKernels kTrainingKernels; }

const TrainingKernels* TrainingKernelsFor(const char* isa) {
  if (KernelsFor(isa) == nullptr) return nullptr;
  if (std::strcmp(isa, "avx512") == 0) return &training_kernels_avx512::kTrainingKernels;
  if (std::strcmp(isa, "avx2") == 0) return &training_kernels_avx2::kTrainingKernels;
  return &training_kernels_baseline::kTrainingKernels;
}

const TrainingKernels& BestTrainingKernels() {
  static const TrainingKernels& best = *TrainingKernelsFor(BestKernels().isa);
  return best;
}

}  // namespace tideline
