// Every call of Compute on the GPU, or on the double that TIDELINE_CUDA_DRIVER names, against the host. Prints one line per
// failure and the number of checks; exits with 1 when anything failed. Run by cuda.test.ts.
#include "check.h"

#include "memory/error.h"

int main() {
  using namespace compute_check;
  try {
    CheckRows();
    CheckLinear();
    CheckAttention();
    CheckHeads();
  } catch (const tideline::Error& error) {
    std::printf("FAIL %s: %s\n", error.code.c_str(), error.what());
    return 1;
  }
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
