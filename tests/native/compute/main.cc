// Every call of Compute on the GPU, or on the double that TIDELINE_CUDA_DRIVER names, against the host. Prints one line per
// failure and the number of checks; exits with 1 when anything failed. Run by cuda.test.ts.
//   check [memory | rows | linear | attention | heads | generation]     one part only
#include <string_view>

#include "check.h"

#include "memory/error.h"

int main(int count, char** arguments) {
  using namespace compute_check;
  const std::string_view part = count > 1 ? arguments[1] : "";
  const auto wanted = [&](std::string_view name) { return part.empty() || part == name; };
  try {
    if (wanted("memory")) CheckPassThrough();
    if (wanted("rows")) CheckRows();
    if (wanted("linear")) CheckLinear();
    if (wanted("attention")) CheckAttention();
    if (wanted("heads")) CheckHeads();
    if (wanted("generation")) CheckGeneration();
  } catch (const tideline::Error& error) {
    std::printf("FAIL %s: %s\n", error.code.c_str(), error.what());
    return 1;
  }
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
