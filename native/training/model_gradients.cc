#include "training/model_gradients.h"

namespace tideline {

LayerGradients ModelGradients::Layer(uint64_t layer) const {
  const LayerOffsets& at = layout_.layers()[layer];
  return {.input_norm = At(at.input_norm),
          .qkv = {At(at.qkv), At(at.qkv_bias)},
          .q_norm = At(at.q_norm),
          .k_norm = At(at.k_norm),
          .o_proj = {At(at.o_proj), At(at.o_bias)},
          .post_norm = At(at.post_norm),
          .gate_up = {At(at.gate_up), At(at.gate_up_bias)},
          .down = {At(at.down), At(at.down_bias)}};
}

}  // namespace tideline
