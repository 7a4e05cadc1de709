/**
 * Reads a Hugging Face config.json, as transformers 4 writes it (`rope_theta`, `rope_scaling`, `torch_dtype` at the top)
 * and as transformers 5 does (`rope_parameters`, `dtype`). What is missing takes the default of the family's
 * configuration class; what the engine cannot compute is refused here, by field, before any weight is read.
 */
import { z } from "zod";
import { shown } from "../input/fault.ts";
import { parseJsonObject } from "../input/json.ts";
import { checkpointFile } from "./checkpoint-file.ts";
import { ConfigFields, flagSchema, namesSchema } from "./config-fields.ts";
import {
  LIMITS,
  type ModelConfig,
  type ModelFamily,
  type RopeConfig,
  rangeSchema,
  tokenIdSchema,
  wholeSchema,
} from "./model-config.ts";

/** What each family's configuration class in transformers sets when config.json does not say. */
const DEFAULTS = {
  llama: { headDim: undefined, maxPositions: 2048, eosTokenIds: [2], bosTokenId: 1, qkNorm: false },
  qwen2: { headDim: undefined, maxPositions: 32768, eosTokenIds: [], bosTokenId: undefined, qkNorm: false },
  qwen3: { headDim: 128, maxPositions: 32768, eosTokenIds: [], bosTokenId: undefined, qkNorm: true },
} as const;
const DEFAULT_ROPE_THETA = 10_000;
const DEFAULT_RMS_NORM_EPS = 1e-6;

export const ARCHITECTURES: Readonly<Record<string, ModelFamily>> = {
  LlamaForCausalLM: "llama",
  Qwen2ForCausalLM: "qwen2",
  Qwen3ForCausalLM: "qwen3",
};
const SUPPORTED = `Tideline runs ${Object.keys(ARCHITECTURES).join(", ")}.`;

const textSchema = z.string();
const eosSchema = z.union([tokenIdSchema, z.array(tokenIdSchema).max(1024)], {
  error: `must be a token id (0 to ${LIMITS.tokenId}), a list of them, or null`,
});

/**
 * The model that config.json describes.
 * @param text what the file holds; `file` is its name for errors.
 * @throws TidelineError checkpoint_invalid (absurd or missing values) or model_unsupported (what the engine cannot
 * compute); both name file and field.
 */
export function parseConfig(text: string, file: string): ModelConfig {
  const fields = new ConfigFields(parseJsonObject(text, checkpointFile(file)), file);
  const family = readFamily(fields);
  refuseUnsupported(fields, family);
  const defaults = DEFAULTS[family];

  const hiddenSize = fields.required("hidden_size", wholeSchema(1, LIMITS.hiddenSize));
  const heads = fields.required("num_attention_heads", wholeSchema(1, LIMITS.heads));
  const kvHeads = fields.optional("num_key_value_heads", wholeSchema(1, LIMITS.heads)) ?? heads;
  if (heads % kvHeads !== 0) {
    throw fields.invalid("num_key_value_heads", `is ${kvHeads}: must divide num_attention_heads (${heads})`);
  }
  const maxPositions =
    fields.optional("max_position_embeddings", wholeSchema(1, LIMITS.maxPositions)) ?? defaults.maxPositions;
  // Qwen2 has biases on q, k and v in its code, not in its configuration; elsewhere `attention_bias` is for all four.
  const attentionBias = family !== "qwen2" && (fields.optional("attention_bias", flagSchema) ?? false);
  const bosTokenId = fields.has("bos_token_id") ? fields.optional("bos_token_id", tokenIdSchema) : defaults.bosTokenId;

  return {
    family,
    vocabSize: fields.required("vocab_size", wholeSchema(1, LIMITS.vocabSize)),
    hiddenSize,
    intermediateSize: fields.required("intermediate_size", wholeSchema(1, LIMITS.intermediateSize)),
    layers: fields.required("num_hidden_layers", wholeSchema(1, LIMITS.layers)),
    heads,
    kvHeads,
    headDim: readHeadDim(fields, family, hiddenSize, heads),
    maxPositions,
    rmsNormEps: fields.optional("rms_norm_eps", rangeSchema(0, LIMITS.rmsNormEps)) ?? DEFAULT_RMS_NORM_EPS,
    tiedEmbeddings: fields.optional("tie_word_embeddings", flagSchema) ?? false,
    qkvBias: family === "qwen2" || attentionBias,
    outputBias: attentionBias,
    mlpBias: family === "llama" && (fields.optional("mlp_bias", flagSchema) ?? false),
    qkNorm: defaults.qkNorm,
    rope: readRope(fields),
    eosTokenIds: fields.has("eos_token_id") ? readEos(fields) : defaults.eosTokenIds,
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
  };
}

/**
 * The tokens at which generation ends according to generation_config.json (chat models list more there than in
 * config.json), or undefined when it does not say.
 * @throws TidelineError checkpoint_invalid
 */
export function parseGenerationStops(text: string, file: string): readonly number[] | undefined {
  const fields = new ConfigFields(parseJsonObject(text, checkpointFile(file)), file);
  return fields.has("eos_token_id") ? readEos(fields) : undefined;
}

function readFamily(fields: ConfigFields): ModelFamily {
  const modelType = fields.optional("model_type", textSchema);
  const named = fields.optional("architectures", namesSchema)?.[0];
  const [field, family] =
    named === undefined
      ? (["model_type", Object.values(ARCHITECTURES).find((known) => known === modelType)] as const)
      : (["architectures", Object.hasOwn(ARCHITECTURES, named) ? ARCHITECTURES[named] : undefined] as const);
  if (family === undefined) {
    const found = named ?? modelType;
    if (found === undefined) throw fields.invalid("architectures", "is missing, and so is model_type");
    throw fields.unsupported(field, `is ${shown(found)}, which Tideline cannot run`, SUPPORTED);
  }
  if (modelType !== undefined && modelType !== family) {
    throw fields.unsupported("model_type", `is ${shown(modelType)}, but architectures says ${shown(named)}`, SUPPORTED);
  }
  return family;
}

function refuseUnsupported(fields: ConfigFields, family: ModelFamily): void {
  const activation = fields.optional("hidden_act", textSchema) ?? "silu";
  if (activation !== "silu") {
    throw fields.unsupported("hidden_act", `is ${shown(activation)}`, "Only silu is computed.");
  }
  if (fields.nested("quantization_config") !== undefined) {
    throw fields.unsupported(
      "quantization_config",
      "is set",
      "Use the checkpoint with float32, float16 or bfloat16 weights.",
    );
  }
  for (const field of ["num_experts", "num_local_experts"]) {
    const experts = fields.raw(field);
    if (experts !== undefined && experts !== null) {
      throw fields.unsupported(field, `is ${shown(experts)}: a mixture of experts`, SUPPORTED);
    }
  }
  if (family !== "llama") refuseSlidingWindow(fields);
}

/** The window is in use when it is switched on and some layer takes it: by `layer_types`, else past `max_window_layers`. */
function refuseSlidingWindow(fields: ConfigFields): void {
  const switchedOn = fields.optional("use_sliding_window", flagSchema) ?? false;
  if (!switchedOn || fields.raw("sliding_window") === null) return;
  const layerTypes = fields.optional("layer_types", namesSchema);
  const layers = fields.required("num_hidden_layers", wholeSchema(1, LIMITS.layers));
  const fullLayers = fields.optional("max_window_layers", wholeSchema(0, 2 ** 31)) ?? 28;
  if (layerTypes === undefined ? layers > fullLayers : layerTypes.some((type) => type !== "full_attention")) {
    throw fields.unsupported("use_sliding_window", "is true and layers use it", "Only full attention is computed.");
  }
}

function readHeadDim(fields: ConfigFields, family: ModelFamily, hiddenSize: number, heads: number): number {
  const error = `must be an even number from 2 to ${LIMITS.headDim}`;
  const schema = wholeSchema(2, LIMITS.headDim).multipleOf(2, { error });
  // Only a config that does not mention head_dim gets the class's default; null means hidden_size / num_attention_heads.
  const stated = fields.has("head_dim") ? fields.optional("head_dim", schema) : DEFAULTS[family].headDim;
  if (stated !== undefined) return stated;
  if (hiddenSize % heads !== 0) {
    throw fields.invalid("hidden_size", `is ${hiddenSize}: must be a multiple of num_attention_heads (${heads})`);
  }
  const headDim = hiddenSize / heads;
  if (schema.safeParse(headDim).success) return headDim;
  throw fields.invalid("head_dim", `is hidden_size / num_attention_heads = ${headDim}: ${error}`);
}

/** transformers 5: `rope_parameters`. transformers 4: `rope_theta`, with `rope_scaling` when there is scaling. */
function readRope(fields: ConfigFields): RopeConfig {
  const name = fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const rope = fields.nested(name);
  const thetaSchema = rangeSchema(1, LIMITS.ropeTheta);
  const theta =
    rope?.optional("rope_theta", thetaSchema) ?? fields.optional("rope_theta", thetaSchema) ?? DEFAULT_ROPE_THETA;
  if (rope === undefined) return { type: "default", theta };

  const rotated = rope.optional("partial_rotary_factor", rangeSchema(0, 1)) ?? 1;
  if (rotated !== 1) throw rope.unsupported("partial_rotary_factor", `is ${rotated}`, "Only whole heads are rotated.");
  const typeField = rope.has("rope_type") ? "rope_type" : "type";
  const type = rope.optional(typeField, textSchema) ?? "default";
  const factorSchema = rangeSchema(1, LIMITS.ropeFactor);
  switch (type) {
    case "default":
      return { type, theta };
    case "linear":
      return { type, theta, factor: rope.required("factor", factorSchema) };
    case "llama3": {
      const lowFreqFactor = rope.required("low_freq_factor", factorSchema);
      const highFreqFactor = rope.required("high_freq_factor", factorSchema);
      if (highFreqFactor <= lowFreqFactor) {
        throw rope.invalid(
          "high_freq_factor",
          `is ${highFreqFactor}: must be above low_freq_factor (${lowFreqFactor})`,
        );
      }
      return {
        type,
        theta,
        factor: rope.required("factor", factorSchema),
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositions: rope.required("original_max_position_embeddings", wholeSchema(1, LIMITS.maxPositions)),
      };
    }
    default:
      throw rope.unsupported(typeField, `is ${shown(type)}`, "Only default, linear and llama3 are computed.");
  }
}

function readEos(fields: ConfigFields): readonly number[] {
  const eos = fields.optional("eos_token_id", eosSchema) ?? [];
  return typeof eos === "number" ? [eos] : eos;
}
