/** Any config.json as an architecture; what cannot be read is refused at the field, with the range. */
import { expect, test } from "vitest";
import { type Architecture, parameterCount } from "../../../../core/planner/models/architecture.ts";
import { readArchitecture } from "../../../../core/planner/models/from-config.ts";

const LLAMA = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  vocab_size: 100,
};
const QKV = 64 * 64 + 2 * (64 * 16);
const MLP = 3 * 64 * 160;
const BASE = 2 * 100 * 64 + 64 + 2 * (QKV + 64 * 64 + MLP + 2 * 64);

const read = (more: object) => readArchitecture({ ...LLAMA, ...more }, "config.json").architecture;
const count = (more: object) => parameterCount(read(more));

test.each(["constructor", "toString", "__proto__"])("a family of the name %s is one that is not known", (name) => {
  const { architecture, assumed } = readArchitecture({ ...LLAMA, model_type: name }, "config.json");
  expect(assumed).toEqual([`model_type "${name}" is not known: read by its fields as a Llama-like decoder`]);
  expect(architecture).toEqual({ ...read({}), family: name });
});

test("a Llama", () => {
  expect(count({})).toBe(BASE);
});

test("tied embeddings count once", () => {
  expect(count({ tie_word_embeddings: true })).toBe(BASE - 100 * 64);
});

test("biases: as config.json says, or as the family always has them", () => {
  expect(count({ attention_bias: true })).toBe(BASE + 2 * (64 + 16 + 16 + 64));
  expect(count({ mlp_bias: true })).toBe(BASE + 2 * (160 + 160 + 64));
  expect(count({ model_type: "qwen2" })).toBe(BASE + 2 * (64 + 16 + 16));
});

test("heads wider than their share of the hidden size, and norms of queries and keys", () => {
  const wide = 2 * (64 * 256 + 2 * 64 * 64 + 256 * 64) - 2 * (QKV + 64 * 64);
  expect(count({ model_type: "qwen3", head_dim: 32 })).toBe(BASE + wide + 2 * (32 + 32));
});

test("experts, with dense layers before them and shared ones beside them", () => {
  const experts = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 40 };
  const mixture = 4 * 64 + 4 * 3 * 64 * 40;
  expect(count({ model_type: "qwen3_moe", head_dim: 8, ...experts })).toBe(BASE + 2 * (mixture - MLP) + 2 * (8 + 8));
  const deepseek = {
    model_type: "deepseek_v2",
    n_routed_experts: 4,
    num_experts_per_tok: 2,
    n_shared_experts: 2,
    moe_intermediate_size: 40,
    first_k_dense_replace: 1,
    kv_lora_rank: 24,
    q_lora_rank: null,
    qk_nope_head_dim: 8,
    qk_rope_head_dim: 4,
    v_head_dim: 8,
  };
  const latent = 64 * 8 * 12 + 64 * (24 + 4) + 24 + 24 * 8 * 16 + 8 * 8 * 64;
  const dense = latent + MLP + 2 * 64;
  const mixed = latent + mixture + 3 * 64 * 80 + 2 * 64;
  expect(count(deepseek)).toBe(2 * 100 * 64 + 64 + dense + mixed);
  expect(count({ ...deepseek, q_lora_rank: 16 }) - count(deepseek)).toBe(
    2 * (64 * 16 + 16 + 16 * 8 * 12 - 64 * 8 * 12),
  );
});

test("Gemma 2: four norms a layer, tied, every other layer with a window", () => {
  const gemma = read({ model_type: "gemma2", head_dim: 8, sliding_window: 32 });
  expect(parameterCount(gemma)).toBe(BASE - 100 * 64 + 2 * 2 * 64);
  expect(windows(gemma)).toEqual([32, undefined]);
});

test("windows are there when they are switched on", () => {
  expect(windows(read({ model_type: "mistral", sliding_window: null }))).toEqual([undefined, undefined]);
  expect(windows(read({ model_type: "mistral" }))).toEqual([4096, 4096]);
  expect(windows(read({ model_type: "qwen2", sliding_window: 16, use_sliding_window: false }))).toEqual([
    undefined,
    undefined,
  ]);
  const types = ["full_attention", "sliding_attention"];
  expect(windows(read({ sliding_window: 16, layer_types: types }))).toEqual([undefined, 16]);
});

function windows({ runs }: Architecture) {
  return runs.flatMap(({ count: layers, layer: { attention } }) =>
    Array(layers).fill(attention.kind === "grouped" ? attention.window : undefined),
  );
}

test("a family that nobody knows is read by its fields, and that is said", () => {
  const { architecture, assumed } = readArchitecture({ ...LLAMA, model_type: "newcomer" }, "config.json");
  expect(parameterCount(architecture)).toBe(BASE);
  expect(assumed).toEqual([expect.stringContaining("newcomer")]);
});

test("a language model inside a multimodal one", () => {
  expect(parameterCount(readArchitecture({ model_type: "big", text_config: LLAMA }, "config.json").architecture)).toBe(
    BASE,
  );
});

test.each([
  [{ hidden_size: undefined }, "hidden_size", "is missing"],
  [{ vocab_size: 0 }, "vocab_size", "from 1 to"],
  [{ num_hidden_layers: 1e9 }, "num_hidden_layers", "from 1 to 1024"],
  [{ num_key_value_heads: 3 }, "num_key_value_heads", "must divide num_attention_heads (8)"],
  [{ num_attention_heads: 7, num_key_value_heads: 7 }, "hidden_size", "multiple of num_attention_heads (7)"],
  [{ head_dim: "wide" }, "head_dim", "whole number"],
  [{ num_experts: 4, num_experts_per_tok: 9 }, "num_experts_per_tok", "from 1 to 4"],
  [{ tie_word_embeddings: "yes" }, "tie_word_embeddings", "true or false"],
])("%o is refused at %s", (change, field, problem) => {
  const broken = JSON.parse(JSON.stringify({ ...LLAMA, ...change }));
  expect(() => readArchitecture(broken, "config.json")).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(problem),
      data: expect.objectContaining({ code: "checkpoint_invalid", field }),
    }),
  );
});
