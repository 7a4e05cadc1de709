// CudaCompute's part in generating: linear layers of a few rows with what lies around them, choosing tokens, and passes that
// are recorded and repeated.
#include "compute/cuda/cuda_compute_parts.h"
#include "compute/cuda/generation_args.h"

namespace tideline {
namespace {

bool IsWhole(const void* address) {
  constexpr uintptr_t kLoadBytes = 16;
  return reinterpret_cast<uintptr_t>(address) % kLoadBytes == 0;
}

// Rows of W that a block takes; see kernels/few_rows.cu.
unsigned MatVecOutputs(unsigned rows, uint64_t inputs, bool gated) {
  constexpr uint64_t kLongInputs = 2048;
  return rows > 1 || inputs < kLongInputs ? 4 : gated ? 2 : 1;
}

constexpr uint64_t kMostStackedRows = 64;
// Fewer at once would leave most of the GPU without work.
constexpr uint64_t kFewestStackedOutputs = 4096;

// The driver keeps a record's kernels on the device too, some hundred bytes each.
constexpr size_t kMostRecords = 64;

}  // namespace

void CudaCompute::FewRowsForward(const FewRows& layer) {
  const LinearWeights& linear = *layer.linear;
  const unsigned rows = layer.rows == 1 ? 1 : layer.rows == 2 ? 2 : layer.rows <= 4 ? 4 : 8;
  const uint64_t outputs = layer.gated ? linear.outputs / 2 : linear.outputs;
  const unsigned at_once = MatVecOutputs(rows, linear.inputs, layer.gated);
  const void* norm = layer.norm ? layer.norm->weight : nullptr;
  const bool wide = linear.inputs * DTypeBytes(linear.dtype) % 16 == 0 && linear.inputs % 4 == 0 && IsWhole(linear.weights) &&
                    IsWhole(layer.x) && IsWhole(norm);
  stream_.Launch(KernelName("matvec", linear.dtype) + "_" + std::to_string(rows) + "_" + std::to_string(at_once),
                 {BlocksFor(outputs, layer.gated ? at_once / 2 : at_once)}, cuda::kMatVecThreads,
                 cuda::MatVecArgs{layer.x, linear.weights, linear.scales, linear.bias, norm, layer.y,
                                  static_cast<uint32_t>(layer.rows), static_cast<uint32_t>(outputs),
                                  static_cast<uint32_t>(linear.inputs), layer.norm ? layer.norm->eps : 0.0f,
                                  BiasDType(linear), layer.accumulate, layer.gated, wide});
}

// cuBLAS for some rows more, where reading the weights is still most of the time: the activations' two parts are rows of one
// product, so the weights are read once, and the two halves are added afterwards. False where there is no room for it.
bool CudaCompute::StackedForward(const FewRows& layer) {
  const LinearWeights& linear = *layer.linear;
  const uint64_t rows = layer.rows, elements = rows * linear.inputs, outputs = linear.outputs;
  if (!cublas_ || rows > kMostStackedRows || DTypeBytes(linear.dtype) != sizeof(uint16_t)) return false;
  if (elements % CudaScratch::kNarrowedAlignment != 0) return false;
  const uint64_t room = (CudaScratch::NarrowedElements(limits_) - 2 * elements) * sizeof(uint16_t) / sizeof(float);
  const uint64_t at_once = std::min(outputs, room / (2 * rows));
  if (at_once < std::min(outputs, layer.gated ? outputs : kFewestStackedOutputs)) return false;
  std::byte *high = scratch_.narrowed, *rest = high + elements * sizeof(uint16_t), *after = rest + elements * sizeof(uint16_t);
  auto* halves = reinterpret_cast<float*>(after);
  const bool wide = InFours(elements, {layer.x, high, rest});
  stream_.Launch("split", FlatGrid(wide ? elements / 4 : elements), cuda::kRowThreads,
                 cuda::SplitArgs{layer.x, high, rest, elements, linear.dtype, wide});
  for (uint64_t first = 0; first < outputs; first += at_once) {
    const uint64_t count = std::min(at_once, outputs - first), columns = layer.gated ? count / 2 : count;
    cublas_->Multiply({.a = high,
                       .a_lie = MatrixProduct::Lie::kAlong,
                       .b = linear.weights + first * linear.inputs * sizeof(uint16_t),
                       .b_lie = MatrixProduct::Lie::kAlong,
                       .dtype = linear.dtype,
                       .c = halves,
                       .rows = 2 * rows,
                       .columns = count,
                       .steps = linear.inputs,
                       .accumulate = false});
    stream_.Launch("add_halves", RowGrid(rows, columns), cuda::kRowThreads,
                   cuda::AddHalvesArgs{halves, linear.bias ? linear.bias + first * sizeof(uint16_t) : nullptr,
                                       layer.y + first, static_cast<uint32_t>(rows), static_cast<uint32_t>(columns),
                                       static_cast<uint32_t>(layer.gated ? outputs / 2 : outputs), linear.dtype,
                                       layer.accumulate, layer.gated});
  }
  return true;
}

// The norm's weight goes through the kernel as the layer's do.
bool CudaCompute::TakesFewRows(const NormWeights& norm, const LinearWeights& linear, uint64_t rows) const {
  return rows > 0 && rows <= cuda::kMatVecRows && norm.weight && norm.dtype == linear.dtype;
}

void CudaCompute::NormLinearForward(const NormWeights& norm, const LinearWeights& linear, const float* x, float* normed,
                                    float* y, uint64_t rows) {
  if (!TakesFewRows(norm, linear, rows)) return Compute::NormLinearForward(norm, linear, x, normed, y, rows);
  FewRowsForward({.linear = &linear, .norm = &norm, .x = x, .y = y, .rows = rows});
}

void CudaCompute::NormGatedForward(const NormWeights& norm, const LinearWeights& linear, const float* x, float* normed,
                                   float* gate_up, float* y, uint64_t rows) {
  if (!TakesFewRows(norm, linear, rows)) {
    NormForward(norm, x, normed, rows);
    if (StackedForward({.linear = &linear, .x = normed, .y = y, .rows = rows, .gated = true})) return;
    LinearForward(linear, normed, gate_up, rows, false);
    return SiluMultiply(gate_up, y, rows, linear.outputs / 2);
  }
  FewRowsForward({.linear = &linear, .norm = &norm, .x = x, .y = y, .rows = rows, .gated = true});
}

// ---------------------------------------------------------------------------------------------------------------------
// Choosing tokens

void CudaCompute::BeginChoosing(std::span<const Draw> draws) {
  if (draws.size() > limits_.sequences) throw Error("internal", "more tokens are to be chosen than the limits said");
  chosen_.resize(draws.size());
  draws_something_ = false;
  std::vector<cuda::TokenDraw> uploaded;
  for (const Draw& draw : draws) {
    const Sampling& sampling = draw.sampling;
    uploaded.push_back({draw.Uniform(), sampling.top_p, sampling.top_k, sampling.greedy() ? 0 : sampling.scale()});
    draws_something_ = draws_something_ || !sampling.greedy();
  }
  if (draws_something_) stream_.Upload(scratch_.draws, uploaded.data(), uploaded.size() * sizeof(cuda::TokenDraw));
}

void CudaCompute::ChooseTokens(const float* logits, uint64_t vocabulary, float*) {
  const uint64_t parts = BlocksFor(vocabulary, cuda::kLogitsPartTokens);
  auto* of_parts = reinterpret_cast<cuda::LogitsPart*>(scratch_.partials);
  const uint64_t most_rows = CudaScratch::kPartialFloats * sizeof(float) / (parts * sizeof(cuda::LogitsPart));
  if (most_rows == 0) throw Error("unsupported", "the vocabulary is too large for the CUDA kernels", "use the host device");
  const auto size = static_cast<uint32_t>(vocabulary), count = static_cast<uint32_t>(parts);
  for (uint64_t first = 0; first < chosen_.size(); first += most_rows) {
    const uint64_t rows = std::min<uint64_t>(most_rows, chosen_.size() - first);
    const float* some = logits + first * vocabulary;
    stream_.Launch("logits_parts", {parts, rows}, cuda::kLogitsThreads, cuda::LogitsPartsArgs{some, of_parts, size, count});
    stream_.Launch("choose", {rows}, cuda::kChooseThreads,
                   cuda::ChooseArgs{some, of_parts, draws_something_ ? scratch_.draws + first : nullptr, ChosenTokens() + first,
                                    size, count});
  }
}

// Two numbers of a row, where three have room.
cuda::ChosenToken* CudaCompute::ChosenTokens() const { return reinterpret_cast<cuda::ChosenToken*>(scratch_.results); }

std::span<const Choice> CudaCompute::Chosen() {
  static_assert(sizeof(Choice) == sizeof(cuda::ChosenToken) && Choice::kNoToken == cuda::kNoToken);
  stream_.Download(chosen_.data(), ChosenTokens(), chosen_.size() * sizeof(Choice));
  return chosen_;
}

// ---------------------------------------------------------------------------------------------------------------------
// Recorded passes

void CudaCompute::Repeat(const void* weights, const std::function<void()>& pass) {
  const DeviceBatch::Steps& steps = batch_.steps();
  const Form form{weights, scratch_.batch, batch_.rows(), steps.tile_count, steps.most_context, draws_something_};
  const auto found = std::find_if(records_.begin(), records_.end(), [&](const Record& record) { return record.form == form; });
  if (found == records_.end()) {
    // The first time nothing is recorded: kernels are loaded by it, cuBLAS's too, and some forms never come again.
    pass();
    records_.push_front({form, nullptr});
    if (records_.size() > kMostRecords) records_.pop_back();
    return;
  }
  records_.splice(records_.begin(), records_, found);  // those used longest ago go first
  if (!found->graph) found->graph = stream_.Capture(pass);
  stream_.Launch(*found->graph);
}

}  // namespace tideline
