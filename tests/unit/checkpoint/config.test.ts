/** config.json: what both transformers generations write, the defaults of their classes, and what is refused. */
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, expectTypeOf, test } from "vitest";
import { parseConfig, parseGenerationStops } from "../../../core/checkpoint/config.ts";
import { formatConfig } from "../../../core/checkpoint/format-config.ts";
import { type ModelConfig, modelConfigSchema, parameterCount } from "../../../core/checkpoint/model-config.ts";
import type { ModelConfig as NativeModelConfig } from "../../../native/addon.d.ts";
import { FIXTURES, failureOf, LLAMA_CONFIG } from "./files.ts";

const parse = (config: object) => parseConfig(JSON.stringify(config), "config.json");
const QWEN2_05B = {
  architectures: ["Qwen2ForCausalLM"],
  model_type: "qwen2",
  attention_dropout: 0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  hidden_act: "silu",
  hidden_size: 896,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  max_window_layers: 21,
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  use_sliding_window: false,
  vocab_size: 151936,
};
const LLAMA_32_1B = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  vocab_size: 128256,
};

test("the type is the addon's", () => {
  expectTypeOf<ModelConfig>().toEqualTypeOf<NativeModelConfig>();
});

describe("published models", () => {
  test("Qwen2.5-0.5B-Instruct (transformers 4)", () => {
    const config = parse(QWEN2_05B);
    expect(config).toMatchObject({
      family: "qwen2",
      headDim: 64,
      kvHeads: 2,
      qkvBias: true,
      outputBias: false,
      qkNorm: false,
    });
    expect(config.rope).toEqual({ type: "default", theta: 1e6 });
    // The count that its model card states: 0.49B, exactly.
    expect(parameterCount(config)).toBe(494_032_768);
  });

  test("Llama-3.2-1B-Instruct (transformers 4, llama3 rope)", () => {
    const config = parse(LLAMA_32_1B);
    expect(config.rope).toEqual({
      type: "llama3",
      theta: 500000,
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    });
    expect(config.eosTokenIds).toEqual([128001, 128008, 128009]);
    expect(parameterCount(config)).toBe(1_235_814_400);
  });

  test.each(["tiny-llama-gqa", "tiny-qwen2-tied", "tiny-qwen3-qknorm"])("%s (transformers 5)", async (name) => {
    const file = join(FIXTURES, name, "config.json");
    const config = parseConfig(await readFile(file, "utf8"), file);
    expect(modelConfigSchema.parse(config)).toEqual(config);
    const golden = JSON.parse(await readFile(join(FIXTURES, name, "golden.json"), "utf8"));
    expect(parameterCount(config)).toBe(golden.parameters);
  });
});

describe("defaults of the configuration classes", () => {
  const bare = (model_type: string, rest: object = {}) => ({
    model_type,
    vocab_size: 32,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    ...rest,
  });

  test("llama", () => {
    expect(parse(bare("llama"))).toEqual({
      family: "llama",
      vocabSize: 32,
      hiddenSize: 16,
      intermediateSize: 24,
      layers: 1,
      heads: 4,
      kvHeads: 4,
      headDim: 4,
      maxPositions: 2048,
      rmsNormEps: 1e-6,
      tiedEmbeddings: false,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      qkNorm: false,
      rope: { type: "default", theta: 10000 },
      eosTokenIds: [2],
      bosTokenId: 1,
    });
  });

  test("qwen2 has biases on q, k, v only, whatever attention_bias says", () => {
    const config = parse(bare("qwen2", { attention_bias: false }));
    expect(config).toMatchObject({ qkvBias: true, outputBias: false, maxPositions: 32768, eosTokenIds: [] });
    expect(config.bosTokenId).toBeUndefined();
  });

  test("qwen3 has heads of 128 unless told otherwise", () => {
    expect(parse(bare("qwen3"))).toMatchObject({ headDim: 128, qkNorm: true, qkvBias: false });
    expect(parse(bare("qwen3", { head_dim: null })).headDim).toBe(4);
    expect(parse(bare("qwen3", { head_dim: 32, attention_bias: true }))).toMatchObject({
      headDim: 32,
      qkvBias: true,
      outputBias: true,
    });
  });

  test("llama's optional biases", () => {
    expect(parse(bare("llama", { attention_bias: true, mlp_bias: true }))).toMatchObject({
      qkvBias: true,
      outputBias: true,
      mlpBias: true,
    });
  });

  test("eos: a number, a list, null", () => {
    expect(parse(bare("llama", { eos_token_id: 7 })).eosTokenIds).toEqual([7]);
    expect(parse(bare("llama", { eos_token_id: [7, 8] })).eosTokenIds).toEqual([7, 8]);
    expect(parse(bare("llama", { eos_token_id: null })).eosTokenIds).toEqual([]);
    expect(parseGenerationStops(`{"eos_token_id": [5, 6]}`, "generation_config.json")).toEqual([5, 6]);
    expect(parseGenerationStops("{}", "generation_config.json")).toBeUndefined();
  });

  test("rope in either generation's spelling", () => {
    const linear = { type: "linear", theta: 5000, factor: 4 };
    expect(parse(bare("llama", { rope_theta: 5000, rope_scaling: { type: "linear", factor: 4 } })).rope).toEqual(
      linear,
    );
    expect(parse(bare("llama", { rope_theta: 5000, rope_scaling: { rope_type: "linear", factor: 4 } })).rope).toEqual(
      linear,
    );
    expect(
      parse(bare("llama", { rope_parameters: { rope_type: "linear", rope_theta: 5000, factor: 4 } })).rope,
    ).toEqual(linear);
    expect(parse(bare("llama", { rope_theta: 5000, rope_scaling: null })).rope).toEqual({
      type: "default",
      theta: 5000,
    });
  });
});

describe("what the engine cannot compute", () => {
  test.each<[field: string, change: object]>([
    ["architectures", { architectures: ["MistralForCausalLM"], model_type: "mistral" }],
    ["architectures", { architectures: ["toString"] }],
    ["architectures", { architectures: ["LlamaForSequenceClassification"] }],
    ["model_type", { architectures: undefined, model_type: "gpt2" }],
    ["model_type", { architectures: undefined, model_type: "qwen2_moe" }],
    ["model_type", { model_type: "qwen3" }],
    ["hidden_act", { hidden_act: "gelu" }],
    ["quantization_config", { quantization_config: { quant_method: "gptq" } }],
    ["num_experts", { num_experts: 8 }],
    ["rope_parameters.rope_type", { rope_parameters: { rope_type: "yarn", factor: 4 } }],
    ["rope_scaling.type", { rope_parameters: undefined, rope_scaling: { type: "dynamic", factor: 2 } }],
    ["rope_parameters.rope_type", { rope_parameters: { rope_type: "longrope" } }],
    [
      "rope_parameters.partial_rotary_factor",
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
    ],
  ])("%s", async (field, change) => {
    const error = await failureOf(() => parse({ ...LLAMA_CONFIG, ...change }));
    expect(error).toMatchObject({ code: "model_unsupported", file: "config.json", field });
    expect(error.message).toContain(field);
    expect(error.hint).toBeTruthy();
  });

  test("a sliding window only where layers use it", async () => {
    const qwen = { ...QWEN2_05B, use_sliding_window: true };
    expect((await failureOf(() => parse(qwen))).field).toBe("use_sliding_window");
    expect(parse({ ...qwen, max_window_layers: 24 }).layers).toBe(24);
    expect(parse({ ...qwen, sliding_window: null }).layers).toBe(24);
    expect(parse({ ...qwen, layer_types: ["full_attention"] }).layers).toBe(24);
    const mixed = { ...qwen, layer_types: ["full_attention", "sliding_attention"] };
    expect((await failureOf(() => parse(mixed))).code).toBe("model_unsupported");
  });
});

describe("absurd values", () => {
  test.each<[field: string, value: unknown, allowed: string]>([
    ["vocab_size", 0, "1 to 4194304"],
    ["vocab_size", undefined, "missing"],
    ["hidden_size", -16, "1 to 131072"],
    ["hidden_size", 16.5, "1 to 131072"],
    ["hidden_size", "16", "1 to 131072"],
    ["hidden_size", 1e30, "1 to 131072"],
    ["hidden_size", 18, "multiple of num_attention_heads"],
    ["hidden_size", null, "is null: must be a whole number from 1 to 131072"],
    ["intermediate_size", 2 ** 40, "1 to 1048576"],
    ["num_hidden_layers", 1e9, "1 to 1024"],
    ["num_hidden_layers", [], "1 to 1024"],
    ["num_attention_heads", 0, "1 to 1024"],
    ["num_key_value_heads", 3, "divide num_attention_heads"],
    ["head_dim", 5, "even number"],
    ["head_dim", 0, "2 to 1024"],
    ["rms_norm_eps", -1, "0 to 0.1"],
    ["rms_norm_eps", "1e-6", "0 to 0.1"],
    ["max_position_embeddings", 0, "1 to"],
    ["tie_word_embeddings", "yes", "true or false"],
    ["eos_token_id", -1, "0 to 2147483647"],
    ["eos_token_id", [1.5], "token id"],
    ["bos_token_id", 2 ** 40, "0 to"],
    ["architectures", "LlamaForCausalLM", "list"],
    ["rope_parameters", "default", "object"],
  ])("%s = %j", async (field, value, allowed) => {
    const error = await failureOf(() => parse({ ...LLAMA_CONFIG, [field]: value }));
    expect(error).toMatchObject({ code: "checkpoint_invalid", file: "config.json", field });
    expect(error.message).toContain(allowed);
  });

  test.each<[field: string, rope: object]>([
    ["rope_theta", { rope_type: "default", rope_theta: 0 }],
    ["factor", { rope_type: "linear" }],
    ["factor", { rope_type: "linear", factor: 0 }],
    ["original_max_position_embeddings", { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 }],
    [
      "high_freq_factor",
      { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4, original_max_position_embeddings: 8 },
    ],
  ])("rope_parameters.%s", async (field, rope_parameters) => {
    const error = await failureOf(() => parse({ ...LLAMA_CONFIG, rope_parameters }));
    expect(error).toMatchObject({ code: "checkpoint_invalid", field: `rope_parameters.${field}` });
  });

  test("an odd head size that follows from the others", async () => {
    expect(await failureOf(() => parse({ ...LLAMA_CONFIG, hidden_size: 12 }))).toMatchObject({ field: "head_dim" });
  });

  test.each(["", "{", "[]", "null", "7", '{"a":NaN}'])("not a JSON object: %s", async (text) => {
    expect(await failureOf(() => parseConfig(text, "/models/x/config.json"))).toMatchObject({
      code: "checkpoint_invalid",
      file: "/models/x/config.json",
    });
  });
});

describe("written back", () => {
  test.each(readdirSync(FIXTURES))("%s is read as the same model", async (name) => {
    const config = parseConfig(await readFile(join(FIXTURES, name, "config.json"), "utf8"), "config.json");
    expect(parse(formatConfig(config))).toEqual(config);
  });

  test("published models and their scalings are", () => {
    const linear = { ...LLAMA_32_1B, rope_scaling: { rope_type: "linear", factor: 4 }, eos_token_id: null };
    for (const published of [QWEN2_05B, LLAMA_32_1B, linear]) {
      const config = parse(published);
      expect(parse(formatConfig(config))).toEqual(config);
    }
  });

  test("transformers 4 finds its own fields", () => {
    const { rope_parameters: _, ...older } = formatConfig(parse(LLAMA_32_1B));
    expect(older).toMatchObject({
      rope_theta: 500000,
      rope_scaling: LLAMA_32_1B.rope_scaling,
      eos_token_id: [128001, 128008, 128009],
    });
    expect(parse(older)).toEqual(parse(LLAMA_32_1B));
  });
});
