// CudaCompute's heads (token statistics, value heads) and optimizer.
#include <cmath>

#include "compute/cuda/cuda_compute_parts.h"

namespace tideline {
namespace {

// A driver that is short of memory for a moment is asked again.
template <typename Call>
void OnceMore(const Call& call) {
  try {
    call();
  } catch (const Error&) {
    call();
  }
}

}  // namespace

void CudaCompute::TokenStatistics(const float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                                  std::span<float> log_sums, std::span<float> logprobs, std::span<float> entropies) {
  Arguments arguments(*this);
  const uint64_t rows = targets.size();
  const uint32_t* uploaded = arguments.Upload(targets);  // says when there are too many rows for the results, too
  float* results = scratch_.results;
  stream_.Launch("token_statistics", {rows}, cuda::kTokenThreads,
                 cuda::TokenStatisticsArgs{logits, uploaded, results, results + rows, results + 2 * rows,
                                           static_cast<uint32_t>(vocabulary)});
  std::vector<float> down(3 * rows);
  stream_.Download(down.data(), results, down.size() * sizeof(float));
  std::copy_n(down.begin(), rows, log_sums.begin());
  std::copy_n(down.begin() + rows, rows, logprobs.begin());
  std::copy_n(down.begin() + 2 * rows, rows, entropies.begin());
}

void CudaCompute::TokenBackward(float* logits, uint64_t vocabulary, std::span<const uint32_t> targets,
                                std::span<const float> log_sums, std::span<const float> entropies,
                                std::span<const TokenSlopes> slopes) {
  Arguments arguments(*this);
  std::vector<cuda::TokenSlope> rows(targets.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    rows[row] = {log_sums[row], entropies[row], slopes[row].for_logprob, slopes[row].for_entropy};
  }
  const uint32_t* uploaded = arguments.Upload(targets);
  stream_.Launch("token_backward", {rows.size(), BlocksFor(vocabulary, cuda::kTokenThreads)}, cuda::kTokenThreads,
                 cuda::TokenBackwardArgs{logits, uploaded, arguments.Upload(std::span<const cuda::TokenSlope>(rows)),
                                         static_cast<uint32_t>(vocabulary)});
}

void CudaCompute::RowProducts(const NormWeights& weight, const float* input, std::span<float> values) {
  if (values.size() > limits_.rows) throw Error("internal", "a call has more rows than its limits said");
  stream_.Launch("row_products", {values.size()}, cuda::kRowThreads,
                 cuda::RowProductsArgs{input, weight.weight, scratch_.results, weight.dtype,
                                       static_cast<uint32_t>(weight.size)});
  stream_.Download(values.data(), scratch_.results, values.size_bytes());
}

void CudaCompute::RowProductsBackward(const NormWeights& weight, const float* input, std::span<const float> slopes,
                                      const Gradient& d_weight, float* d_input) {
  Arguments arguments(*this);
  const float* uploaded = arguments.Upload(slopes);
  SumColumns(input, nullptr, uploaded, slopes.size(), weight.size, d_weight);
  stream_.Launch("outer_product", RowGrid(slopes.size(), weight.size), cuda::kRowThreads,
                 cuda::OuterProductArgs{uploaded, weight.weight, d_input, weight.dtype,
                                        static_cast<uint32_t>(weight.size)});
}

std::vector<double> CudaCompute::SumSquares(std::span<const NumberRange> ranges, DType stored) {
  std::vector<double> sums(ranges.size());
  double* device_sums = reinterpret_cast<double*>(scratch_.partials);
  auto* device_ranges = reinterpret_cast<cuda::NumberSpan*>(device_sums + CudaScratch::kMostRanges);
  for (size_t first = 0; first < ranges.size(); first += CudaScratch::kMostRanges) {
    const size_t count = std::min<size_t>(CudaScratch::kMostRanges, ranges.size() - first);
    std::vector<cuda::NumberSpan> spans;
    for (const NumberRange& range : ranges.subspan(first, count)) spans.push_back({range.first, range.elements});
    stream_.Upload(device_ranges, spans.data(), count * sizeof(cuda::NumberSpan));
    stream_.Launch(KernelName("sum_squares", stored), {count}, cuda::kRowThreads,
                   cuda::SumSquaresArgs{device_ranges, device_sums});
    stream_.Download(sums.data() + first, device_sums, count * sizeof(double));
  }
  return sums;
}

void CudaCompute::AdamW(std::span<const AdamWTensor> tensors, const AdamWTypes& types, const AdamWScalars& scalars) {
  const std::string kernel = KernelName(KernelName(KernelName("adamw", types.stored), types.gradients), types.moments);
  const auto launch = [&](const AdamWTensor& tensor) {
    const bool wide =
        InFours(tensor.elements, {tensor.stored, tensor.master, tensor.gradients, tensor.first, tensor.second});
    stream_.Launch(kernel, FlatGrid(wide ? tensor.elements / 4 : tensor.elements), cuda::kRowThreads,
                   cuda::AdamWArgs{tensor.stored, tensor.master, tensor.gradients, tensor.first, tensor.second,
                                   tensor.elements, wide, scalars.gradient_scale, scalars.beta1, scalars.beta2,
                                   scalars.eps, scalars.decay, scalars.step_size, scalars.second_scale});
  };
  // The first one shows whether the kernel can be launched. What was begun has to be finished: it is asked for again.
  if (tensors.empty()) return;
  launch(tensors.front());
  try {
    for (const AdamWTensor& tensor : tensors.subspan(1)) OnceMore([&] { launch(tensor); });
  } catch (const Error& error) {
    throw HalfWritten(error);
  }
}

}  // namespace tideline
