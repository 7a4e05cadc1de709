#include "compute/cuda/cuda_compute.h"

#include "compute/cuda/cuda_compute_parts.h"

namespace tideline {

CudaCompute::CudaCompute(int ordinal, const ComputeLimits& limits)
    : limits_(limits),
      stream_(ordinal),
      cublas_(Cublas::Open(stream_)),
      workspace_bytes_(CublasWorkspaceBytes(ordinal)),
      scratch_(CudaScratch::Place(nullptr, limits, workspace_bytes_)),
      batch_(limits) {}

uint64_t CudaCompute::scratch_bytes() const { return scratch_.bytes; }
void CudaCompute::UseScratch(std::byte* scratch) {
  const CudaScratch placed = CudaScratch::Place(scratch, limits_, workspace_bytes_);
  if (cublas_ && placed.workspace != scratch_.workspace) cublas_->UseWorkspace(placed.workspace, workspace_bytes_);
  scratch_ = placed;
}

void CudaCompute::Zero(void* target, uint64_t bytes) { stream_.Zero(target, bytes); }
void CudaCompute::Copy(void* target, const void* source, uint64_t bytes) { stream_.Copy(target, source, bytes); }
void CudaCompute::Download(std::span<std::byte> target, const void* source) {
  stream_.Download(target.data(), source, target.size());
}
void CudaCompute::Finish() { stream_.Synchronize(); }

void CudaCompute::Convert(std::span<const ConvertPiece> pieces, DType target, DType source) {
  for (const ConvertPiece& piece : pieces) {
    if (target == source) {
      stream_.Copy(piece.target, piece.source, piece.elements * DTypeBytes(target));
    } else {
      const bool wide = InFours(piece.elements, {piece.source, piece.target});
      stream_.Launch("convert", FlatGrid(wide ? piece.elements / 4 : piece.elements), cuda::kRowThreads,
                     cuda::ConvertArgs{piece.source, piece.target, piece.elements, source, target, wide});
    }
  }
}

void CudaCompute::Begin(std::span<const StepToken> tokens) { batch_.Begin(stream_, scratch_.batch, tokens); }
void CudaCompute::Begin(const MicroBatch& batch) { batch_.Begin(stream_, scratch_.batch, batch); }

void CudaCompute::Embed(const EmbeddingWeights& embedding, float* hidden) {
  stream_.Launch("embed", RowGrid(batch_.rows(), embedding.hidden), cuda::kRowThreads,
                 cuda::EmbedArgs{embedding.weights, embedding.scales, batch_.ids(), hidden, embedding.dtype,
                                 static_cast<uint32_t>(embedding.hidden)});
}

void CudaCompute::EmbedBackward(const float* d_hidden, uint64_t hidden, const Gradient& d_embedding) {
  const DeviceBatch::Tokens& tokens = batch_.tokens();
  stream_.Launch("embed_backward", RowGrid(tokens.count, hidden), cuda::kRowThreads,
                 cuda::EmbedBackwardArgs{d_hidden, tokens.ids, tokens.first, tokens.order, d_embedding.first,
                                         d_embedding.dtype, static_cast<uint32_t>(hidden)});
}

void CudaCompute::Angles(std::span<const double> inverse_frequencies, float* cosine, float* sine) {
  const auto half = static_cast<uint32_t>(inverse_frequencies.size());
  PaddedHeadDim(2 * half);
  cuda::AnglesArgs args{batch_.positions(), cosine, sine, half, {}};
  std::copy(inverse_frequencies.begin(), inverse_frequencies.end(), args.frequencies);
  stream_.Launch("angles", RowGrid(batch_.rows(), half), cuda::kRowThreads, args);
}

}  // namespace tideline
