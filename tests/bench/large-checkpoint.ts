/**
 * A checkpoint that does not fit any cache, so that generating is bound by memory: the shape of a model of 270 M
 * parameters with made-up weights. Speed does not depend on what the weights are, only on their being ordinary numbers.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const SHAPE = {
  hidden: 1024,
  intermediate: 2816,
  layers: 16,
  heads: 16,
  kvHeads: 8,
  headDim: 64,
  vocab: 32_000,
} as const;
const BYTES_PER_WEIGHT = 2;

/** Writes the checkpoint into `folder`; returns the bytes of weights that every token reads. */
export function writeLargeCheckpoint(folder: string): number {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config()));
  const tensors = tensorShapes();
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, shape] of tensors) {
    const bytes = shape.reduce((product, size) => product * size, BYTES_PER_WEIGHT);
    header[name] = { dtype: "BF16", shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  writeTensorFile(join(folder, "model.safetensors"), header, offset);
  // One row of the embedding is read per token; the head, which is not tied to it, is read whole.
  return offset - SHAPE.vocab * SHAPE.hidden * BYTES_PER_WEIGHT;
}

function config(): object {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: SHAPE.hidden,
    intermediate_size: SHAPE.intermediate,
    num_hidden_layers: SHAPE.layers,
    num_attention_heads: SHAPE.heads,
    num_key_value_heads: SHAPE.kvHeads,
    head_dim: SHAPE.headDim,
    vocab_size: SHAPE.vocab,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
    bos_token_id: 1,
    eos_token_id: 2,
  };
}

function tensorShapes(): readonly (readonly [string, readonly number[]])[] {
  const { hidden, intermediate, heads, kvHeads, headDim, vocab } = SHAPE;
  const layers = Array.from({ length: SHAPE.layers }, (_, layer) => {
    const name = (part: string) => `model.layers.${layer}.${part}.weight`;
    return [
      [name("input_layernorm"), [hidden]],
      [name("self_attn.q_proj"), [heads * headDim, hidden]],
      [name("self_attn.k_proj"), [kvHeads * headDim, hidden]],
      [name("self_attn.v_proj"), [kvHeads * headDim, hidden]],
      [name("self_attn.o_proj"), [hidden, heads * headDim]],
      [name("post_attention_layernorm"), [hidden]],
      [name("mlp.gate_proj"), [intermediate, hidden]],
      [name("mlp.up_proj"), [intermediate, hidden]],
      [name("mlp.down_proj"), [hidden, intermediate]],
    ] as const;
  });
  return [
    ["model.embed_tokens.weight", [vocab, hidden]],
    ...layers.flat(),
    ["model.norm.weight", [hidden]],
    ["lm_head.weight", [vocab, hidden]],
  ];
}

/** Weights between ±0.015 and ±0.03 from a fixed sequence, the same block again and again. */
function writeTensorFile(file: string, header: object, dataBytes: number): void {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const block = new Uint16Array(2 ** 19);
  let state = 1;
  for (let index = 0; index < block.length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    block[index] = 0x3c80 | (state >>> 25) | ((state >>> 9) & 0x8000);
  }
  const bytes = Buffer.from(block.buffer);
  const out = openSync(file, "w");
  writeSync(out, length);
  writeSync(out, text);
  for (let left = dataBytes; left > 0; left -= bytes.length) writeSync(out, bytes, 0, Math.min(left, bytes.length));
  closeSync(out);
}
