/**
 * What a model is, in numbers: the shape the engine computes, the planner predicts and the screen shows. Read from a
 * config.json by config.ts; the bounds here hold however it was made.
 */
import { z } from "zod";

/** Largest values taken: well past every published model, small enough that no product of them overflows 2^53. */
export const LIMITS = {
  vocabSize: 2 ** 22,
  hiddenSize: 2 ** 17,
  intermediateSize: 2 ** 20,
  layers: 1024,
  heads: 1024,
  headDim: 1024,
  maxPositions: 2 ** 26,
  tokenId: 2 ** 31 - 1,
  ropeTheta: 1e12,
  ropeFactor: 1e6,
  rmsNormEps: 0.1,
} as const;

/** A whole number from `min` to `max`; the message says so. */
export function wholeSchema(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A number from `min` to `max`; the message says so. */
export function rangeSchema(min: number, max: number) {
  const error = `must be a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

export const tokenIdSchema = wholeSchema(0, LIMITS.tokenId);
const factorSchema = rangeSchema(1, LIMITS.ropeFactor);

/**
 * `frequencyDtype`: what the rotation frequencies are rounded to. Loading a model into bfloat16 leaves them exact, but
 * casting a whole PyTorch model with `.to(torch.bfloat16)` rounds them too; answers computed that way differ in the
 * third digit. Left out, they are exact, as in every server.
 */
const ropeBase = {
  theta: rangeSchema(1, LIMITS.ropeTheta),
  frequencyDtype: z.enum(["float32", "float16", "bfloat16"]).exactOptional(),
};

export const ropeSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("default"), ...ropeBase }).readonly(),
  z.object({ type: z.literal("linear"), ...ropeBase, factor: factorSchema }).readonly(),
  z
    .object({
      type: z.literal("llama3"),
      ...ropeBase,
      factor: factorSchema,
      lowFreqFactor: factorSchema,
      highFreqFactor: factorSchema,
      originalMaxPositions: wholeSchema(1, LIMITS.maxPositions),
    })
    .readonly(),
]);

export const modelConfigSchema = z
  .object({
    family: z.enum(["llama", "qwen2", "qwen3"]),
    vocabSize: wholeSchema(1, LIMITS.vocabSize),
    hiddenSize: wholeSchema(1, LIMITS.hiddenSize),
    intermediateSize: wholeSchema(1, LIMITS.intermediateSize),
    layers: wholeSchema(1, LIMITS.layers),
    heads: wholeSchema(1, LIMITS.heads),
    kvHeads: wholeSchema(1, LIMITS.heads),
    headDim: wholeSchema(2, LIMITS.headDim),
    maxPositions: wholeSchema(1, LIMITS.maxPositions),
    rmsNormEps: rangeSchema(0, LIMITS.rmsNormEps),
    tiedEmbeddings: z.boolean(),
    qkvBias: z.boolean(),
    outputBias: z.boolean(),
    mlpBias: z.boolean(),
    qkNorm: z.boolean(),
    rope: ropeSchema,
    eosTokenIds: z.array(tokenIdSchema).readonly(),
    bosTokenId: tokenIdSchema.exactOptional(),
  })
  .readonly();

/** The same type as the addon's (native/addon.d.ts); a test holds the two together. */
export type ModelConfig = z.infer<typeof modelConfigSchema>;
export type ModelFamily = ModelConfig["family"];
export type RopeConfig = ModelConfig["rope"];

/** A tensor that a checkpoint of this model holds, by its Hugging Face name. */
export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * The Hugging Face tensors of a model, in the order transformers lists its modules. With tied embeddings there is no
 * `lm_head.weight`.
 */
export function expectedTensors(config: ModelConfig): readonly ExpectedTensor[] {
  const { hiddenSize: hidden, intermediateSize: inner, headDim } = config;
  const queries = config.heads * headDim;
  const keys = config.kvHeads * headDim;
  const linear = (name: string, rows: number, columns: number, bias: boolean): ExpectedTensor[] => [
    { name: `${name}.weight`, shape: [rows, columns] },
    ...(bias ? [{ name: `${name}.bias`, shape: [rows] }] : []),
  ];
  const norm = (name: string, size: number): ExpectedTensor => ({ name: `${name}.weight`, shape: [size] });
  const layer = (prefix: string): ExpectedTensor[] => [
    ...linear(`${prefix}.self_attn.q_proj`, queries, hidden, config.qkvBias),
    ...linear(`${prefix}.self_attn.k_proj`, keys, hidden, config.qkvBias),
    ...linear(`${prefix}.self_attn.v_proj`, keys, hidden, config.qkvBias),
    ...linear(`${prefix}.self_attn.o_proj`, hidden, queries, config.outputBias),
    ...(config.qkNorm
      ? [norm(`${prefix}.self_attn.q_norm`, headDim), norm(`${prefix}.self_attn.k_norm`, headDim)]
      : []),
    ...linear(`${prefix}.mlp.gate_proj`, inner, hidden, config.mlpBias),
    ...linear(`${prefix}.mlp.up_proj`, inner, hidden, config.mlpBias),
    ...linear(`${prefix}.mlp.down_proj`, hidden, inner, config.mlpBias),
    norm(`${prefix}.input_layernorm`, hidden),
    norm(`${prefix}.post_attention_layernorm`, hidden),
  ];
  return [
    { name: "model.embed_tokens.weight", shape: [config.vocabSize, hidden] },
    ...Array.from({ length: config.layers }, (_, index) => layer(`model.layers.${index}`)).flat(),
    norm("model.norm", hidden),
    ...(config.tiedEmbeddings ? [] : [{ name: "lm_head.weight", shape: [config.vocabSize, hidden] }]),
  ];
}

/** Exact number of weights; tied embeddings count once. */
export function parameterCount(config: ModelConfig): number {
  return expectedTensors(config).reduce((sum, tensor) => sum + elementCount(tensor), 0);
}

export function elementCount({ shape }: ExpectedTensor): number {
  return shape.reduce((product, size) => product * size, 1);
}
